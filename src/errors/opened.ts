/** Closes opened things in reverse order, and runs the other steps that end a failed function. */

/**
 * The things that a function has opened so far. `using` closes them in reverse order, unless `move` has handed them
 * over. Closing never throws, since the earlier failure is the one to report. The class is our own since Node.js 22
 * has no `DisposableStack`.
 */
export class Opened implements Disposable {
  private closers: (() => void)[] = [];

  /** Adds a thing and the function that closes it. Returns the thing. */
  add<T>(thing: T, close: (thing: T) => void): T {
    this.closers.unshift(() => close(thing));
    return thing;
  }

  /** Hands everything over to its next owner; nothing is left here to be closed. */
  move(): Opened {
    const moved = new Opened();
    moved.closers = this.closers;
    this.closers = [];
    return moved;
  }

  [Symbol.dispose](): void {
    cleanUp(...this.move().closers);
  }
}

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
