import { createHash } from 'node:crypto';

const NAME_DIGITS = 16;

/** Returns a file name for an input; equal inputs have equal names. */
export function inputName(input: Buffer): string {
  return createHash('sha256').update(input).digest('hex').slice(0, NAME_DIGITS);
}
