/** Selects the sets within a range of sets or of dates: `--range first:last`, `--dates from..to`. */
import { type BackupSet, begunMs, setNamed } from '../../history/index.js';
import { parseDate, type SettingsNamed } from '../../config/index.js';
import { usageError } from '../../errors/index.js';
import type { SetNumber } from '../../model/index.js';

type RangeOptions = SettingsNamed<'setRange' | 'dateRange' | 'recentSet'>;

export function hasRange({ setRange, dateRange }: RangeOptions): boolean {
  return setRange !== undefined || dateRange !== undefined;
}

/** Returns the selected sets; all sets if no range is set. Throws USAGE, BAD_DATE, NO_SUCH_SET. */
export async function setsWithin(
  client: string,
  sets: readonly BackupSet[],
  { setRange, dateRange, recentSet }: RangeOptions,
  nowMs: number,
): Promise<BackupSet[]> {
  if (setRange !== undefined && dateRange !== undefined) {
    throw usageError('--range and --dates cannot be used together');
  }
  if (setRange !== undefined) {
    const [first, last] = halvesOf(setRange, /^([^:]*):([^:]*)$/, '--range', 'first:last');
    const numberOf = (word: string, open: SetNumber): SetNumber =>
      word === '' ? open : setNamed(client, sets, word === recentSet ? undefined : word).set;
    const [from, to] = [numberOf(first, 0), numberOf(last, Infinity)];
    return sets.filter(({ set }) => set >= from && set <= to);
  }
  if (dateRange === undefined) return [...sets];
  const [from, to] = halvesOf(dateRange, /^(.*?)\.\.(.*)$/, '--dates', 'from..to');
  const fromMs = from === '' ? -Infinity : await parseDate(from, nowMs, 'start');
  const toMs = to === '' ? Infinity : await parseDate(to, nowMs);
  return sets.filter((set) => begunMs(set) >= fromMs && begunMs(set) <= toMs);
}

function halvesOf(text: string, pattern: RegExp, option: string, form: string): [string, string] {
  const match = pattern.exec(text.trim());
  if (match === null) throw usageError(`${option} takes ${form}`);
  return [match[1]!.trim(), match[2]!.trim()];
}
