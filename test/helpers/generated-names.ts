/** Names as hostile as a file system allows. */
import { oneof, sample, string, uint8Array } from 'fast-check';
import { isEntryName } from '../../src/model/index.js';
import { seed } from './seed.js';

export const ALL_NAMES = 10_000;
const MAX_NAME_BYTES = 255;

/** Returns different names that a directory may have. */
export function someNames(count: number): Buffer[] {
  const any = oneof(
    uint8Array({ minLength: 1, maxLength: 24 }),
    string({ minLength: 1, maxLength: 12, unit: 'binary' }).map((one) => Buffer.from(one)),
    string({ minLength: 1, maxLength: 8 }).map((one) => Buffer.from(`%5C${one}\\ &<"'`)),
  );
  const found = new Map<string, Buffer>();
  for (const bytes of sample(any, { numRuns: 3 * count, seed })) {
    const name = Buffer.from(bytes);
    const isUsable = isEntryName(name) && name.length <= MAX_NAME_BYTES;
    if (isUsable && found.size < count) found.set(name.toString('latin1'), name);
  }
  return [...found.values()];
}
