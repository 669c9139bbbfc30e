/**
 * Makes parity for packs and objects that have none: an earlier release stored them, or the session that stored them
 * was interrupted.
 */
import {
  type Backend,
  makeParity,
  type ParityMath,
  parityBytes,
  parityName,
  shapeOf,
  soundRecords,
  storedObjects,
  storedPacks,
} from '../../store/index.js';

interface MissingParity {
  /** Number of bytes of parity for 100 bytes of the store; 0 makes none. */
  readonly percent: number;
  /** False if a parity file of this size would not leave enough space. */
  readonly hasRoom: (bytes: number) => boolean;
  readonly breathe: () => Promise<void>;
}

/**
 * Makes parity for packs and objects that have none. Objects are searched only if a pack lacks parity, since a session
 * makes parity of objects before that of packs. A damaged file gets no parity; `sonic check` reports it. Call with the
 * client's lock held.
 */
export async function protectMissing(
  backend: Backend,
  math: ParityMath,
  request: MissingParity,
): Promise<void> {
  if (request.percent === 0) return;
  const packs = await unprotected(backend, await storedPacks(backend));
  if (packs.length === 0) return;
  const objects = await unprotected(backend, await storedObjects(backend));
  for (const name of [...objects, ...packs]) {
    await request.breathe();
    if (!(await protect(backend, math, name, request))) return;
  }
}

async function unprotected(backend: Backend, names: readonly string[]): Promise<string[]> {
  const without: string[] = [];
  for (const name of names) {
    if ((await backend.size(parityName(name))) === undefined) without.push(name);
  }
  return without;
}

/** Makes the parity of a pack or object, unless it is damaged. Returns false if space is short. */
async function protect(
  backend: Backend,
  math: ParityMath,
  name: string,
  { percent, hasRoom, breathe }: MissingParity,
): Promise<boolean> {
  const { wholeBytes, hasGap } = await soundRecords(backend, name, breathe);
  if (hasGap || wholeBytes === 0) return true;
  if (!hasRoom(parityBytes(shapeOf(wholeBytes, percent)))) return false;
  await makeParity(backend, math, name, { coveredBytes: wholeBytes, percent, breathe });
  return true;
}
