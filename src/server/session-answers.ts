/** Answers of a session that the server makes or reads outside of the storage thread. */
import type { Logger } from 'pino';
import { decodeMessage, type Head, MESSAGES, NOTHING_SETTLED } from '../transport/index.js';
import type { GcOutcome } from './gc-scheduler.js';

/** Returns the message `settled`, which reports the result of garbage collection to a client that waits for it. */
export function settledHead(outcome: GcOutcome): Head<'settled'> {
  if (outcome === undefined) return NOTHING_SETTLED;
  if ('failure' in outcome) return { ...NOTHING_SETTLED, isDone: false, failure: outcome.failure };
  const { purged, early, young, isCautious, isClockInDoubt, purgeFailure = '' } = outcome.done;
  const { contents, packs, freedBytes, deletedFiles, deletedBytes, isDone } = outcome.done;
  const cleared = { contents, packs, freedBytes, deletedFiles, deletedBytes, isDone };
  const gone = { purged: [...purged], early: [...early], young, cautious: isCautious };
  return { ...gone, ...cleared, inDoubt: isClockInDoubt, failure: purgeFailure };
}

/** Logs that another machine has made the set before the one that `answer` opens, since the sets of both are then mixed. */
export function warnOfMachine(log: Logger, client: string, answer: Buffer): void {
  if (answer[0] !== MESSAGES.setOpened.number) return;
  const { set, otherMachine } = decodeMessage('setOpened', answer).head;
  if (otherMachine === undefined) return;
  log.error({ client, set, otherMachine }, 'another machine has made the set before');
}
