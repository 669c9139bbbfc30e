/** The send stage for parcels. */
import { ignoreElements, type OperatorFunction } from 'rxjs';
import { releaseMemory } from '../model/index.js';
import type { BuiltParcel } from './build.js';
import type { Context } from './context.js';
import { stage } from './stage.js';

/**
 * The send stage: sends parcels in the order in which they arrive. It emits nothing, and does not wait for the last
 * parcels to be received, so a link with long round trips stays full. The budget limits the bytes that are sent but
 * not received, and `sendConcurrency` the parcels. A parcel that waits for its turn holds bytes of the budget.
 */
export function send(context: Context): OperatorFunction<BuiltParcel, never> {
  return (parcels) =>
    parcels.pipe(
      stage(context.counters.send, (parcel) => sendParcel(context, parcel)),
      ignoreElements(),
    );
}

/** Resolves when the parcel is sent. */
async function sendParcel(
  { budget, counters, directories, flight, outbox, progress }: Context,
  { outgoing, contents, heldBytes, slots }: BuiltParcel,
): Promise<void> {
  const turn = outbox.turn();
  if (turn !== undefined) await turn;
  const startMs = performance.now();
  const sentBytes = outgoing.records?.length ?? 0;
  // From here on only records and rows use memory, so the rest of the budget is returned at once.
  const stillBytes = Math.min(heldBytes, sentBytes + outgoing.rows.length);
  budget.bytes.give(heldBytes - stillBytes);
  progress.contentsSent += contents;
  progress.sentBytes += sentBytes;
  const received = counters.send.timed(() => outbox.send(outgoing));
  received.then(
    () => {
      counters.send.count(1, sentBytes, 0);
      counters.send.passed(performance.now() - startMs);
      budget.bytes.give(stillBytes);
      outbox.received();
      if (outgoing.records !== undefined) releaseMemory(outgoing.records);
      flight.leave();
    },
    (error: unknown) => outbox.fail(error),
  );
  for (const slot of slots) directories.release(slot);
}
