/** The send stage for parcels. */
import { ignoreElements, type OperatorFunction, tap } from 'rxjs';
import type { ReadyParcel } from './compress.js';
import type { Context } from './context.js';

/**
 * The send stage: sends parcels in the order in which they arrive. It emits nothing and waits for nothing, so a link
 * with long round trips stays full: the budget bounds what is sent but not received.
 */
export function send(context: Context): OperatorFunction<ReadyParcel, never> {
  return (parcels) =>
    parcels.pipe(
      tap((parcel) => sendParcel(context, parcel)),
      ignoreElements(),
    );
}

function sendParcel(
  { budget, counters, directories, flight, outbox, progress, spare }: Context,
  { outgoing, contents, heldBytes, slots }: ReadyParcel,
): void {
  const startMs = performance.now();
  const sentBytes = outgoing.records?.length ?? 0;
  // From here on only records and rows use memory, so the rest of the budget is returned at once.
  const stillBytes = Math.min(heldBytes, sentBytes + outgoing.rows.length);
  budget.bytes.give(heldBytes - stillBytes);
  progress.contentsSent += contents;
  progress.sentBytes += sentBytes;
  outbox.send(outgoing).then(
    () => {
      counters.send.count(1, sentBytes, 0, performance.now() - startMs);
      budget.bytes.give(stillBytes);
      if (outgoing.records !== undefined) spare.give(outgoing.records);
      flight.leave();
    },
    (error: unknown) => outbox.fail(error),
  );
  for (const slot of slots) directories.release(slot);
}
