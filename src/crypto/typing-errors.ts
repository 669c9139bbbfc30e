/** Describes the errors in the lines of a damaged key record, for a person who has typed them from paper. */
import { recordBytesByHead } from './key-record.js';

/** A line of a record, without blanks. */
export interface TypedLine {
  readonly base64: string;
  readonly hasSum: boolean;
}

const MAX_NAMED = 4;

/**
 * Returns a description of the lines that are missing or have no checksum; undefined if there are none. `lineChars` is
 * the length of all lines but the last. `shown` makes a line printable.
 */
export function describeTypingErrors(
  lines: readonly TypedLine[],
  lineChars: number,
  shown: (text: string) => string,
): string | undefined {
  const unproven = lines.flatMap(({ base64, hasSum }, index) =>
    hasSum ? [] : [`line ${index + 1} "${shown(base64)}"`],
  );
  const missing = missingIn(lines, lineChars, unproven.length === 0);
  if (missing !== undefined || unproven.length === 0) return missing;
  const named = unproven.slice(0, MAX_NAMED).join(', ');
  const more = unproven.length > MAX_NAMED ? ` and ${unproven.length - MAX_NAMED} more` : '';
  const verb = unproven.length === 1 ? 'lacks its checksum' : 'lack their checksums';
  return `${named}${more} ${verb}: compare with the sheet, and type what follows the #`;
}

/**
 * Describes missing lines; returns undefined if none is missing. `isProven` is true if the checksums show that each
 * line is right and in its place.
 */
function missingIn(
  lines: readonly TypedLine[],
  lineChars: number,
  isProven: boolean,
): string | undefined {
  const typed = lines.length;
  const text = lines.map(({ base64 }) => base64).join('');
  const wholeBytes = recordBytesByHead(Buffer.from(text, 'base64'));
  if (wholeBytes === undefined)
    return typed > 1 ? undefined : `only ${typed} of its lines was typed`;
  const chars = Math.ceil(wholeBytes / 3) * 4;
  const whole = Math.ceil(chars / lineChars);
  // A person may break a line into two, so more lines than expected are accepted.
  if (typed >= whole || text.length >= chars) return undefined;
  const count = `${typed} of ${whole} lines were typed`;
  if (whole - typed === 1) return `${isProven ? 'the last' : 'a'} line is missing: ${count}`;
  return `${isProven ? 'the last ' : ''}${whole - typed} lines are missing: ${count}`;
}
