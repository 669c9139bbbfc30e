/**
 * Tests whether a store arbitrates between writers: if several `putNew` calls use one name, exactly one must get
 * `created`. Some services ignore the condition, others do not support it, so the bucket itself is tested.
 */
import { TardisError } from '../../errors/index.js';
import type { Random } from '../../system/index.js';
import type { ObjectStore } from './object-store.js';
import type { ObjectVersions } from './object-versions.js';

/** Prefix of the objects of a probe, which removes them at its end. Objects of a killed process stay. */
const PROBE_PREFIX = 'probe/';
const RACERS = 8;
const MAX_BYTES = 64;
/** Objects of a probe get no lock, so that they can be removed. */
const BRIEF = { retainMs: 0 };
/** Time for which the test object of locks is locked. */
const LOCK_PROBE_MS = 60_000;
/** Allowed deviation of a lock's end, since locks are only exact to a second. */
const EXACT_MS = 2000;

/** Returns undefined if a store arbitrates between writers. Otherwise returns the reason why it does not, as text. */
export async function probe(store: ObjectStore, random: Random): Promise<string | undefined> {
  const id = random.bytes(12).toString('hex');
  const names = [`${PROBE_PREFIX}${id}-1`, `${PROBE_PREFIX}${id}-2`] as const;
  let isReached = true;
  try {
    return (await twice(store, names[0])) ?? (await race(store, names[1]));
  } catch (error) {
    const code = error instanceof TardisError ? error.code : undefined;
    isReached = code !== 'BUCKET_UNREACHABLE';
    if (code === 'BUCKET_UNSAFE') return (error as TardisError).message;
    throw error;
  } finally {
    // The answer matters more than some bytes that stay. A store that cannot be reached would be waited for again.
    if (isReached) await store.remove(names).catch(() => undefined);
  }
}

async function twice(store: ObjectStore, name: string): Promise<string | undefined> {
  const [first, second] = [Buffer.from('first'), Buffer.from('second')];
  if ((await store.putNew(name, first, BRIEF)) !== 'created')
    return 'a new object was there before';
  const again = await store.putNew(name, second, BRIEF);
  const isFirst = (await store.readWhole(name, MAX_BYTES))?.equals(first) === true;
  if (again === 'created' || !isFirst) return 'it replaces an object that must not be replaced';
  return undefined;
}

async function race(store: ObjectStore, name: string): Promise<string | undefined> {
  const racers = Array.from({ length: RACERS }, (_, index) => Buffer.from(`racer ${index}`));
  const results = await Promise.all(racers.map((bytes) => store.putNew(name, bytes, BRIEF)));
  const winners = racers.filter((_, index) => results[index] === 'created');
  if (winners.length !== 1) {
    return `of ${RACERS} writers of one object at once, ${winners.length} got the answer that it is theirs`;
  }
  const isWinner = (await store.readWhole(name, MAX_BYTES))?.equals(winners[0]!) === true;
  return isWinner ? undefined : 'an object does not have the bytes of the writer that created it';
}

/**
 * Returns undefined if a store locks new objects. Otherwise returns the reason why it does not, as text. Some services
 * ignore the headers of a lock, so an object is locked for a minute, and its lock is read back.
 */
export async function lockFault(
  store: ObjectStore,
  versions: ObjectVersions,
  random: Random,
): Promise<string | undefined> {
  const name = `${PROBE_PREFIX}${random.bytes(12).toString('hex')}-lock`;
  try {
    const leastMs = versions.nowMs() + LOCK_PROBE_MS - EXACT_MS;
    await store.putNew(name, Buffer.from('locked'), { retainMs: LOCK_PROBE_MS });
    const untilMs = await versions.lockedUntilMs({ name });
    return untilMs >= leastMs
      ? undefined
      : 'it stores an object that is to be locked, and does not lock it';
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return `it refuses an object that is to be locked, or the question for its lock: ${error.message}`;
  } finally {
    // In a bucket with versions this only hides the object. The answer matters more than some bytes that stay.
    await store.remove([name]).catch(() => undefined);
  }
}

/** True for the error of a store that does not support locks, or of a bucket without them. */
function isRefusal(error: unknown): error is TardisError {
  if (!(error instanceof TardisError)) return false;
  const { status } = error.context;
  const isUnknown = status === 400 || status === 404 || status === 405 || status === 501;
  return (error.code === 'BUCKET_FAILED' && isUnknown) || error.code === 'BUCKET_UNSAFE';
}
