/**
 * The object that ends the log of a generation. It stands in the place of a commit, and names the next generation. As
 * each number of the log can be taken only once, no commit follows it. Afterwards it also replaces the earlier
 * commits. So a machine that knows only some of them finds the next generation, and nothing of their contents remains.
 */
import { TardisError } from '../../errors/index.js';
import { jsonFields } from '../../model/index.js';
import { isGeneration } from '../layout/bucket-names.js';

const VERSION = 1;
/** Maximum size of such an object; every commit object is larger. */
export const MAX_MOVED_BYTES = 96;
const BRACE = 0x7b;

/** Returns the bytes of an object that names the next generation. */
export function buildMoved(generation: string): Buffer {
  return Buffer.from(`${JSON.stringify({ version: VERSION, moved: generation })}\n`);
}

/** Returns the generation that an object of a log names; undefined for every other object. */
export function movedTo(bytes: Buffer): string | undefined {
  if (bytes.length > MAX_MOVED_BYTES || bytes[0] !== BRACE) return undefined;
  const { version, moved } = jsonFields(bytes.toString('utf8'));
  const isWhole = version === VERSION && typeof moved === 'string' && isGeneration(moved);
  return isWhole ? moved : undefined; // the reader of commit objects reports other bytes as damage
}

/** Throws CLIENT_MOVED if an object of a log names the next generation. */
export function requireNotMoved(bytes: Buffer): void {
  const generation = movedTo(bytes);
  if (generation === undefined) return;
  const what = 'another machine has rewritten the client';
  throw new TardisError('CLIENT_MOVED', what, { generation });
}
