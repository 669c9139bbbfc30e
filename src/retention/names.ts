/**
 * Names of sets by strftime formats. The formats are tried in order. A set gets the first name that no set with equal
 * roots has yet. If a set with other roots has that name, a count is added (Monthly-2026-11.2). So the first set of a
 * month is named Monthly-…, the first further one in a week Weekly-…, and so on; each format has a priority.
 */
import strftime from 'strftime';
import { setNameFault } from '../model/index.js';
import { isoWeek } from './rules.js';

export interface NameFormat {
  /** Format that is filled in with the local time of the server. */
  readonly format: string;
  readonly priority: number;
}

interface FormattedName {
  readonly name: string;
  readonly priority: number;
}

const MOST_COUNT = 1000;

/**
 * Returns a name for a new set. `isOwn` is true if a set of the same roots has the name, `isTaken` if any set has.
 * Returns undefined if no format gives a free name.
 */
export function nameByFormat(
  formats: readonly NameFormat[],
  nowMs: number,
  isOwn: (name: string) => boolean,
  isTaken: (name: string) => boolean,
): FormattedName | undefined {
  const now = new Date(nowMs);
  for (const { format, priority } of formats) {
    const name = written(format, now);
    if (isOwn(name)) continue;
    if (!isTaken(name)) return { name, priority };
    for (let count = 2; count < MOST_COUNT; count += 1) {
      if (!isTaken(`${name}.${count}`)) return { name: `${name}.${count}`, priority };
    }
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
export function withoutCount(name: string): string {
  return name.replace(/\.\d{1,3}$/, '');
}

/** True if one of the formats gives this name at this time, with a count or without. */
export function isNameByFormat(formats: readonly string[], name: string, atMs: number): boolean {
  const at = new Date(atMs);
  return formats.some((format) => {
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
