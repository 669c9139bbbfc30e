/** Determines the exit status of a command. */

/** Exit status if the work is done but something is missing or damaged. */
export const PARTLY = 3;

/** Exit status of a comparison that failed or lacks something: 1 means a difference, as in diff(1). */
export const COMPARISON_FAILED = 2;

/** Exit status of a command that SIGINT, or the end of its terminal, has interrupted. */
const INTERRUPTED = 130;
const TERMINATED = 143;

/** Exit status of a failure that has no status of its own. It is not 1 for commands whose status 1 is an answer. */
let failureStatus = 1;
let interruptedStatus = INTERRUPTED;
let isPartly = false;

/** Declares that exit statuses below `status` are answers, which a failure must not return. */
export function statusIsAnswer(status: number): void {
  failureStatus = status;
}

/** Declares that data is missing or damaged. The final exit status then reports that, unless it is a higher one. */
export function donePartly(): void {
  isPartly = true;
}

/** Returns the final exit status for the status that a command returned. */
export function endStatus(status: number): number {
  const partly = failureStatus === 1 ? PARTLY : failureStatus;
  return isPartly ? Math.max(status, partly) : status;
}

/** Declares that a signal has interrupted the command. Returns the exit status for that. */
export function interruptedBy(signal: NodeJS.Signals): number {
  interruptedStatus = signal === 'SIGTERM' ? TERMINATED : INTERRUPTED;
  return interruptedStatus;
}

/** Returns the exit status for a failure for which other tools, or other signals, return `usual`. */
export function failedStatus(usual = 1): number {
  if (usual === INTERRUPTED) return interruptedStatus;
  return usual === 1 ? failureStatus : usual;
}

/** Returns the exit status if the reader of a listing has ended: an answer cannot be given then. */
export function cutStatus(): number {
  return failureStatus === 1 ? 0 : failureStatus;
}
