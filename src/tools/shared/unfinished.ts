/** Detects that the process ends before its work is done. */
import { TardisError } from '../../errors/index.js';

/**
 * Calls `report` if the process ends while its work still waits for an event. Otherwise Node.js would end the process
 * without a message. Returns a function to call when the work is done.
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
