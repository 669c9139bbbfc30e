/**
 * Runs every cleanup step after a failure, even if some of them fail. Never throws, since the first failure is the one
 * to report. Undefined steps are skipped.
 */
export function cleanUp(...steps: readonly ((() => void) | undefined)[]): void {
  for (const step of steps) {
    try {
      step?.();
    } catch {
      continue;
    }
  }
}
