/**
 * Names of backup sets. They are shown in tables and typed after -b, so a name is one line, and neither a number nor a
 * range of numbers.
 */

/** The name that stands for the newest complete set, unless the user configures another word. */
export const RECENT_SET = 'Current';
const MAX_NAME_BYTES = 255;
/** Maximum size of a set name that is sealed and written as text. */
export const MAX_SEALED_SET_NAME_BYTES = 768;
/** Matches control characters, line separators, and characters that change the direction of text. */
const UNSHOWABLE = /[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u;

/** True if a text is one line that can be shown as it is, and not blank. */
export function isShownLine(text: string): boolean {
  return !UNSHOWABLE.test(text) && text.trim() !== '';
}

/** Returns the reason why a text cannot be the name of a set; undefined if it can. */
export function setNameFault(name: string, mostBytes = MAX_NAME_BYTES): string | undefined {
  if (UNSHOWABLE.test(name)) return 'holds control characters';
  if (name.trim() === '') return 'is blank';
  if (Buffer.byteLength(name) > mostBytes) return `is longer than ${mostBytes} bytes`;
  if (/^\d+-\d+$/.test(name)) return 'is a range, which stands for the sets from one to the other';
  if (/^\d+$/.test(name)) return 'is a number, which stands for the set of that number';
  if (name === RECENT_SET) return 'stands for the newest set';
  return undefined;
}
