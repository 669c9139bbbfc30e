/** Waits for the server's work after a set: purging sets and freeing space. */
import { asTardisError, TardisError } from '../errors/index.js';
import { displayLine, type SetNumber } from '../model/index.js';
import { within } from '../system/index.js';
import { type Head, NOTHING_SETTLED } from '../transport/index.js';

export interface Settled {
  /** Sets that the rules removed. */
  readonly purged: readonly SetNumber[];
  /** Expendable sets that were removed because space was low. */
  readonly early: readonly SetNumber[];
  /** Number of sets that are kept only because they are too young to be purged. */
  readonly young: number;
  /** True if the rules were applied as for an account without the right to purge. */
  readonly isCautious: boolean;
  /** Number of deleted contents, and of rewritten packs. */
  readonly contents: number;
  readonly packs: number;
  /** Number of bytes that are freed when the removed files are deleted. */
  readonly freedBytes: number;
  readonly deletedFiles: number;
  readonly deletedBytes: number;
  /** False if a part of the work is left for later. */
  readonly isDone: boolean;
  /** True if nothing was purged because the clock has jumped. */
  readonly isClockInDoubt: boolean;
  /** Reason why nothing, or not everything, was done, or why the result is not known. */
  readonly failure?: string;
}

/** Maximum time to wait. Garbage collection of a large store takes long. */
const MOST_WAIT_MS = 24 * 3_600_000;

/**
 * Waits for the server's result, for a day at most. Never throws: the set is complete in any case. Passes to `onLost` a
 * function that must be called when the connection is lost.
 */
export async function untilSettled(
  answer: Promise<Head<'settled'>>,
  onLost: (lost: (reason: TardisError) => void) => void,
): Promise<Settled> {
  const never = new Promise<never>((_resolve, reject) => {
    onLost(reject);
  });
  try {
    const settled = await within(Promise.race([answer, never]), MOST_WAIT_MS, () => {
      throw new TardisError('TIMED_OUT', 'the server has not reported it for a day');
    });
    return settledFrom(settled);
  } catch (error) {
    const why = `the result of the purge is not known: ${asTardisError(error).message}`;
    return { ...settledFrom(NOTHING_SETTLED), isDone: false, failure: why };
  }
}

function settledFrom({ inDoubt, cautious, failure, ...rest }: Head<'settled'>): Settled {
  const why = failure === '' ? {} : { failure: displayLine(failure) };
  return { ...rest, isCautious: cautious, isClockInDoubt: inDoubt, ...why };
}
