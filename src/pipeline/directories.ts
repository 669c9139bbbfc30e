/**
 * Keeps, for each directory whose entries are on their way, how many parcels hold some of them, so
 * that the server is told when the last one was sent, and the budget gets its items back.
 */
interface DirectoryState {
  outstanding: number;
  isCut: boolean;
  isSettled: boolean;
  readonly items: number;
}

export interface FinishedDirectory {
  readonly slot: number;
  readonly isSettled: boolean;
}

export class OpenDirectories {
  private readonly states = new Map<number, DirectoryState>();
  private readonly onFinished: (finished: FinishedDirectory, items: number) => void;

  constructor(onFinished: (finished: FinishedDirectory, items: number) => void) {
    this.onFinished = onFinished;
  }

  /** A directory's entries will be cut into parcels. `items` were taken from the budget for it. */
  open(slot: number, items: number, isSettled: boolean): void {
    this.states.set(slot, { outstanding: 0, isCut: false, isSettled, items });
  }

  /** One more parcel or large file holds entries of it. */
  hold(slot: number): void {
    const state = this.states.get(slot);
    if (state !== undefined) state.outstanding += 1;
  }

  /** That parcel was sent. */
  release(slot: number): void {
    const state = this.states.get(slot);
    if (state === undefined) return;
    state.outstanding -= 1;
    this.check(slot, state);
  }

  /** No further parcel will hold entries of it. */
  cut(slot: number): void {
    const state = this.states.get(slot);
    if (state === undefined) return;
    state.isCut = true;
    this.check(slot, state);
  }

  /** Something in it failed: its listing must be looked at again next time. */
  unsettle(slot: number): void {
    const state = this.states.get(slot);
    if (state !== undefined) state.isSettled = false;
  }

  private check(slot: number, state: DirectoryState): void {
    if (!state.isCut || state.outstanding > 0) return;
    this.states.delete(slot);
    this.onFinished({ slot, isSettled: state.isSettled }, state.items);
  }
}
