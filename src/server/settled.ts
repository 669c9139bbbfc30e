/** Returns the message `settled`, which reports the result of garbage collection to a client that waits for it. */
import { type Head, NOTHING_SETTLED } from '../transport/index.js';
import type { GcOutcome } from './gc-scheduler.js';

export function settledHead(outcome: GcOutcome): Head<'settled'> {
  if (outcome === undefined) return NOTHING_SETTLED;
  if ('failure' in outcome) return { ...NOTHING_SETTLED, isDone: false, failure: outcome.failure };
  const { purged, early, young, isCautious, isClockInDoubt, purgeFailure = '' } = outcome.done;
  const { contents, packs, freedBytes, deletedFiles, deletedBytes, isDone } = outcome.done;
  const cleared = { contents, packs, freedBytes, deletedFiles, deletedBytes, isDone };
  const gone = { purged: [...purged], early: [...early], young, cautious: isCautious };
  return { ...gone, ...cleared, inDoubt: isClockInDoubt, failure: purgeFailure };
}
