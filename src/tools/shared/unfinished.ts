/** Detects that the process ends before its work is done. */
import { TardisError } from '../../errors/index.js';

/** Exit status of Node.js if nothing can continue while the main module still waits. */
const UNSETTLED_STATUS = 13;

/**
 * Calls `report` if the process ends while its work still waits for an event. Node.js alone would end it without a
 * message.
 */
export function reportUnfinished(report: (error: TardisError) => void): void {
  // Node.js sets the status in its own listener, which runs first.
  process.once('exit', () => {
    if (process.exitCode !== UNSETTLED_STATUS) return;
    report(new TardisError('INTERNAL', 'the command ended before its work was done'));
  });
}
