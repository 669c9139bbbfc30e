/**
 * Names and priorities of sets that the client does not name. The formats are strftime formats, each with a priority,
 * and are tried in order. A set is the first one of its period, as a format writes it, if no complete set of the same
 * roots is that already. So the first set of a month gets the first priority, the first further one of a week the
 * second, and so on. The set is named by the date and time, or by the format if the settings
 * name formats (Monthly-2026-11); if another set has the name, a count is added (Monthly-2026-11.2).
 */
import strftime from 'strftime';
import { setNameFault } from '../model/index.js';
import { isoWeek } from './rules.js';

export interface NameFormat {
  /** Format that is filled in with the local time of the server. */
  readonly format: string;
  readonly priority: number;
  /** True if the text of the format is the name of the set, and not only its period. */
  readonly isName: boolean;
}

interface FormattedName {
  readonly name: string;
  readonly priority: number;
}

/** A complete set. Its name, or its priority and time, show of which period it is the first. */
export interface EarlierSet {
  readonly firstName: string;
  readonly priority: number;
  readonly openedAtMs: number;
  /** True if the set has the same roots. Called only for the first one of a period. */
  readonly hasSameRoots: () => boolean;
}

const MOST_COUNT = 1000;
/** Name of a set by its date and time. */
const BY_TIME = '%Y-%m-%d_%H%M%S';

/** Returns name and priority for a new set. `isTaken` is true if any set of the client has the name. */
export function nameByFormat(
  formats: readonly NameFormat[],
  nowMs: number,
  earlier: readonly EarlierSet[],
  isTaken: (name: string) => boolean,
): FormattedName {
  const now = new Date(nowMs);
  const byTime = written(BY_TIME, now);
  for (const { format, priority, isName } of formats) {
    const period = written(format, now);
    const isFirst = !earlier.some(
      (set) =>
        (withoutCount(set.firstName) === period ||
          (set.priority === priority && written(format, new Date(set.openedAtMs)) === period)) &&
        set.hasSameRoots(),
    );
    const name = isFirst ? freeName(isName ? period : byTime, isTaken) : undefined;
    if (name !== undefined) return { name, priority };
  }
  return { name: freeName(byTime, isTaken) ?? byTime, priority: 0 };
}

/** Returns a name, with a count if another set has it; undefined if too many have. */
function freeName(name: string, isTaken: (name: string) => boolean): string | undefined {
  if (!isTaken(name)) return name;
  for (let count = 2; count < MOST_COUNT; count += 1) {
    if (!isTaken(`${name}.${count}`)) return `${name}.${count}`;
  }
  return undefined;
}

/**
 * Matches the fields for year and week of ISO 8601, which purges use and the `strftime` package lacks. Also matches
 * `%%`, so that it is skipped.
 */
const ISO_FIELD = /%(?:%|G|V)/g;

/** Returns the text of a format for a time, in local time. */
function written(format: string, at: Date): string {
  const { weekYear, week } = isoWeek(at.getFullYear(), at.getMonth() + 1, at.getDate());
  const iso: Readonly<Record<string, string>> = {
    '%G': String(weekYear),
    '%V': String(week).padStart(2, '0'),
  };
  return strftime(
    format.replace(ISO_FIELD, (field) => iso[field] ?? field),
    at,
  );
}

/** Returns a name without the count that was added to it. */
function withoutCount(name: string): string {
  return name.replace(/\.\d{1,3}$/, '');
}

/** True if the time itself or one of the formats gives this name at this time, with a count or without. */
export function isNameByFormat(formats: readonly string[], name: string, atMs: number): boolean {
  const at = new Date(atMs);
  return [BY_TIME, ...formats].some((format) => {
    const made = written(format, at);
    return made === name || made === withoutCount(name);
  });
}

/** A time with two digits in every field. */
const SAMPLE = new Date(2033, 10, 22, 13, 44, 55);

/** Returns the reason why a format gives no valid set names; undefined if it is valid. */
export function formatFault(format: string): string | undefined {
  return setNameFault(written(format, SAMPLE));
}
