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
