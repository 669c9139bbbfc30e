/**
 * Takes every step of a way out after a failure, whatever becomes of the others, and never throws: the failure that led
 * there is the one to tell. Steps that are undefined have nothing to let go of.
 */
export function letGo(...steps: readonly ((() => void) | undefined)[]): void {
  for (const step of steps) {
    try {
      step?.();
    } catch {
      continue;
    }
  }
}
