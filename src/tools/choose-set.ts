/** Which backup set a tool looks at: by number or name (-b), by date (-d), or the newest complete one. */
import type { Archive, BackupSet } from '../archive/index.js';
import { parseDate } from '../config/index.js';
import { TardisError } from '../errors/index.js';
import { formatTime } from './units.js';

export interface SetWish {
  readonly backup: string | undefined;
  /** The name that stands for the newest complete set. */
  readonly recentSet: string;
  readonly date: string | undefined;
}

/** A set by number or name, by the word for the newest one, or else by a date in words. Throws NO_SUCH_SET. */
export async function setOfWord(
  archive: Archive,
  word: string,
  recentSet: string,
  nowMs: number,
): Promise<BackupSet> {
  try {
    return await archive.findSet(word === recentSet ? undefined : word);
  } catch (error) {
    const isDate =
      error instanceof TardisError && error.code === 'NO_SUCH_SET' && !/^\d+$/.test(word);
    if (!isDate) throw error;
    const momentMs = await parseDate(word, nowMs).catch(() => undefined);
    if (momentMs === undefined) throw error; // neither
    return chooseSet(archive, { backup: undefined, recentSet, date: word }, nowMs);
  }
}

/** Throws USAGE, BAD_DATE, NO_SUCH_SET. */
export async function chooseSet(
  archive: Archive,
  { backup, recentSet, date }: SetWish,
  nowMs: number,
): Promise<BackupSet> {
  if (date === undefined) return archive.findSet(backup === recentSet ? undefined : backup);
  if (backup !== undefined) {
    throw new TardisError('USAGE', '--backup and --date both choose a set: give one of them');
  }
  const momentMs = await parseDate(date, nowMs);
  try {
    return await archive.findSetAt(momentMs);
  } catch (error) {
    if (!(error instanceof TardisError) || error.code !== 'NO_SUCH_SET') throw error;
    const wanted = formatTime(momentMs);
    throw new TardisError('NO_SUCH_SET', `${error.message} (${wanted})`, error.context, error);
  }
}
