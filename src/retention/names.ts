/**
 * Names of sets by formats, as strftime writes them: of several formats the first one takes a set whose name no set of the
 * same roots has yet; where one of other roots has it, it gets a count (Monthly-2026-11.2). So the first set of a month is Monthly-…, the first one after it in a week Weekly-…, and so on; each format has
 * a priority.
 */
import strftime from 'strftime';
import { setNameFault } from '../model/index.js';

export interface NameFormat {
  /** By the local time of the server. */
  readonly format: string;
  readonly priority: number;
}

export interface FormattedName {
  readonly name: string;
  readonly priority: number;
}

const MOST_COUNT = 1000;

/** `isOwn`: a set of the same roots has it; `isTaken`: any set has. Undefined when every format's name is taken. */
export function nameByFormat(
  formats: readonly NameFormat[],
  nowMs: number,
  isOwn: (name: string) => boolean,
  isTaken: (name: string) => boolean,
): FormattedName | undefined {
  const now = new Date(nowMs);
  for (const { format, priority } of formats) {
    const name = strftime(format, now);
    if (isOwn(name)) continue;
    if (!isTaken(name)) return { name, priority };
    for (let count = 2; count < MOST_COUNT; count += 1) {
      if (!isTaken(`${name}.${count}`)) return { name: `${name}.${count}`, priority };
    }
  }
  return undefined;
}

/** A name as its format has it. */
export function withoutCount(name: string): string {
  return name.replace(/\.\d{1,3}$/, '');
}

/** Whether one of the formats gives a set of this moment this name, with a count or without. */
export function isNameByFormat(formats: readonly string[], name: string, atMs: number): boolean {
  const at = new Date(atMs);
  return formats.some((format) => {
    const made = strftime(format, at);
    return made === name || made === withoutCount(name);
  });
}

/** A moment with two digits everywhere. */
const SAMPLE = new Date(2033, 10, 22, 13, 44, 55);

/** Why a format makes no names of sets; undefined: it does. */
export function formatFault(format: string): string | undefined {
  return setNameFault(strftime(format, SAMPLE));
}
