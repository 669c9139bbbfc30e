/**
 * Counts, for each directory in flight, the parcels that contain entries of it. When the last of these parcels was
 * sent, the server is informed, and the directory's items return to the budget.
 */
import type { SlotNumber } from '../model/index.js';

interface DirectoryState {
  outstanding: number;
  isCut: boolean;
  isSettled: boolean;
  readonly items: number;
}

export interface FinishedDirectory {
  readonly slot: SlotNumber;
  readonly isSettled: boolean;
}

export class OpenDirectories {
  private readonly states = new Map<SlotNumber, DirectoryState>();

  constructor(private readonly onFinished: (finished: FinishedDirectory, items: number) => void) {}

  /** Starts tracking a directory whose entries will be cut into parcels. `items` were taken from the budget for it. */
  open(slot: SlotNumber, items: number, isSettled: boolean): void {
    this.states.set(slot, { outstanding: 0, isCut: false, isSettled, items });
  }

  /** Counts one more parcel or large file with entries of the directory. */
  hold(slot: SlotNumber): void {
    const state = this.states.get(slot);
    if (state !== undefined) state.outstanding += 1;
  }

  /** Records that a parcel or large file with entries of the directory was sent. */
  release(slot: SlotNumber): void {
    const state = this.states.get(slot);
    if (state === undefined) return;
    state.outstanding -= 1;
    this.check(slot, state);
  }

  /** Records that no further parcel will contain entries of the directory. */
  cut(slot: SlotNumber): void {
    const state = this.states.get(slot);
    if (state === undefined) return;
    state.isCut = true;
    this.check(slot, state);
  }

  /** Records that an entry of the directory failed, so the next backup must compare its listing again. */
  unsettle(slot: SlotNumber): void {
    const state = this.states.get(slot);
    if (state !== undefined) state.isSettled = false;
  }

  private check(slot: SlotNumber, state: DirectoryState): void {
    if (!state.isCut || state.outstanding > 0) return;
    this.states.delete(slot);
    this.onFinished({ slot, isSettled: state.isSettled }, state.items);
  }
}
