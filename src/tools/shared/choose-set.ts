/** Selects a backup set: by number or name (-b), by date (-d), or the newest complete one. */
import type { History, BackupSet } from '../../history/index.js';
import { parseDate } from '../../config/index.js';
import { TardisError } from '../../errors/index.js';
import { formatTime } from './units.js';

interface SetChoice {
  readonly backup: string | undefined;
  /** The word for the newest complete set. */
  readonly recentSet: string;
  readonly date: string | undefined;
}

/** Returns a set by its number or name, by the word for the newest set, or by a date. Throws NO_SUCH_SET. */
export async function setOfWord(
  history: History,
  word: string,
  recentSet: string,
  nowMs: number,
): Promise<BackupSet> {
  try {
    return await history.findSet(word === recentSet ? undefined : word);
  } catch (error) {
    const isDate =
      error instanceof TardisError && error.code === 'NO_SUCH_SET' && !/^\d+$/.test(word);
    if (!isDate) throw error;
    const momentMs = await parseDate(word, nowMs).catch(() => undefined);
    if (momentMs === undefined) throw error; // neither a set nor a date
    return chooseSet(history, { backup: undefined, recentSet, date: word }, nowMs);
  }
}

/** Returns the selected set. Throws USAGE, BAD_DATE, NO_SUCH_SET. */
export async function chooseSet(
  history: History,
  { backup, recentSet, date }: SetChoice,
  nowMs: number,
): Promise<BackupSet> {
  if (date === undefined) return history.findSet(backup === recentSet ? undefined : backup);
  if (backup !== undefined) {
    throw new TardisError('USAGE', '--backup and --date both choose a set: give one of them');
  }
  const momentMs = await parseDate(date, nowMs);
  try {
    return await history.findSetAt(momentMs);
  } catch (error) {
    if (!(error instanceof TardisError) || error.code !== 'NO_SUCH_SET') throw error;
    const wanted = formatTime(momentMs);
    throw new TardisError('NO_SUCH_SET', `${error.message} (${wanted})`, error.context, error);
  }
}
