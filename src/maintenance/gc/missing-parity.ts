/**
 * Makes parity for packs and objects that have none: an earlier release stored them, or the session that stored them
 * was interrupted.
 */
import { systemCode, TardisError } from '../../errors/index.js';
import {
  type Backend,
  leavesRoom,
  makeParity,
  type ParityMath,
  parityBytes,
  parityName,
  shapeOf,
  soundRecords,
  storedObjects,
  storedPacks,
} from '../../store/index.js';
import type { StoreWriter } from '../../store/writer/index.js';
import type { System } from '../../system/index.js';

interface MissingParity {
  /** Number of bytes of parity for 100 bytes of the store; 0 makes none. */
  readonly percent: number;
  /** False if a parity file of this size would not leave enough space. */
  readonly hasRoom: (bytes: number) => boolean;
  readonly breathe: () => Promise<void>;
}

/** Makes parity for the data that a writer has stored, and for packs that have none, as far as space permits. */
export async function protectStore(
  { native }: System,
  store: StoreWriter,
  breathe: () => Promise<void>,
): Promise<void> {
  const { parityPercent = 0, leastFreeBytes } = store.limits;
  await store.parity.protectAll();
  const hasRoom = (bytes: number): boolean =>
    !store.reserve.wasReleased && leavesRoom(bytes, store.reserve.freeBytes, leastFreeBytes);
  try {
    await protectMissing(store.backend, native, { percent: parityPercent, hasRoom, breathe });
  } catch (error) {
    // The rest of the work is done without parity. `sonic check` counts files without parity, and its --repair
    // reports the failure.
    if (!isOfStore(error)) throw error;
  }
}

/** True if a pack has no parity. */
export async function lacksParity(backend: Backend): Promise<boolean> {
  return (await unprotected(backend, await storedPacks(backend))).length > 0;
}

/** True for an error of the disk or the store. False for an error that ends the run, such as INTERRUPTED. */
function isOfStore(error: unknown): boolean {
  if (error instanceof TardisError) return error.code !== 'INTERRUPTED';
  return systemCode(error) !== undefined;
}

/**
 * Makes parity for packs and objects that have none. Objects are searched only if a pack lacks parity, since a session
 * makes parity of objects before that of packs. A damaged file gets no parity; `sonic check` reports it. Call with the
 * client's lock held.
 */
async function protectMissing(
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
