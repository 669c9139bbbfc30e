/** Detects that the process ends before its work is done. */
import { TardisError } from '../../errors/index.js';

/**
 * Calls `report` if the process ends by itself while its work still waits for an event; Node.js alone would end it without a
 * message. Returns a function that records the end of the work.
 */
export function reportUnfinished(report: (error: TardisError) => void): () => void {
  let isDone = false;
  process.once('exit', () => {
    if (isDone || process.exitCode !== undefined) return;
    report(new TardisError('INTERNAL', 'the command ended before its work was done'));
  });
  return () => {
    isDone = true;
  };
}
