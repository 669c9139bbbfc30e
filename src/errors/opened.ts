/** A list of opened things that closes them in reverse order. */
import { cleanUp } from './clean-up.js';

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
