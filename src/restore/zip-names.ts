/** Names in a zip archive. They are safe on every reader: a path never leads out of the directory of extraction. */

const PERCENT = 0x25;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const HEX_DIGITS = 2;

/**
 * Returns a relative path as a zip archive has it. A backslash becomes `%5C`, because Windows would treat it as a
 * separator. A colon after the first letter becomes `%3A`, because the letter would name a drive. A `%` becomes `%25`
 * if it could be mistaken for one of these, so that different paths stay different. All other bytes are kept.
 */
export function zipName(path: Buffer): Buffer {
  const isDrive = path[1] === COLON && isLetter(path[0]!);
  if (!isDrive && !path.includes(BACKSLASH) && !path.includes(PERCENT)) return path;
  const out: number[] = [];
  for (const [index, byte] of path.entries()) {
    const isEscaped =
      byte === BACKSLASH ||
      (index === 1 && isDrive) ||
      (byte === PERCENT && looksEscaped(path, index));
    if (isEscaped) out.push(...Buffer.from(`%${byte.toString(16).toUpperCase()}`));
    else out.push(byte);
  }
  return Buffer.from(out);
}

function looksEscaped(path: Buffer, index: number): boolean {
  return ['25', '3A', '5C'].includes(digitsAt(path, index));
}

function digitsAt(path: Buffer, index: number): string {
  return path.toString('latin1', index + 1, index + 1 + HEX_DIGITS);
}

function isLetter(byte: number): boolean {
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x7a;
}
