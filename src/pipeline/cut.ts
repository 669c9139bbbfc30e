/**
 * The cut stage: turns the entries that the compare stage selected into parcels and large files. It tracks which
 * directories have entries in them.
 */
import type { Budget } from './budget.js';
import type { CompareResult } from './compare.js';
import type { OpenDirectories } from './directories.js';
import type { Flight } from './flight.js';
import type { LargeListing } from './large-listing.js';
import {
  type LargeFile,
  type Parcel,
  ParcelCutter,
  type ParcelLimits,
  type Selection,
  type Work,
} from './parcel.js';

export type ParcelWork = Extract<Work, { parcel: Parcel }>;
export type LargeWork = Extract<Work, { large: LargeFile }>;

export interface CutContext {
  readonly directories: OpenDirectories;
  readonly budget: Budget;
  readonly flight: Flight;
  /** Yields the entries to send of a directory whose listing is sent in pages. */
  readonly pagesOf: (slot: number, listing: LargeListing) => AsyncIterable<Selection>;
}

export class CutStage {
  private readonly cutter: ParcelCutter;
  /** Slots of directories whose last rows are still in the cutter. */
  private inCutter: number[] = [];
  private readonly context: CutContext;

  constructor(limits: ParcelLimits, context: CutContext) {
    this.cutter = new ParcelCutter(limits);
    this.context = context;
  }

  /** Yields work from the selected entries, as the budget allows. `undefined` yields the rest that the cutter holds. */
  async *cut(selected: CompareResult | undefined): AsyncGenerator<Work> {
    const { directories, flight, pagesOf } = this.context;
    if (selected === undefined) {
      const parcel = this.cutter.flush();
      if (parcel !== undefined) yield* this.admit([{ parcel }]);
      return;
    }
    for (const { slot, selection, pages, items, isSettled } of selected.changed) {
      directories.open(slot, items, isSettled);
      if (selection !== undefined) yield* this.admit(this.cutter.add(selection));
      if (pages !== undefined) {
        for await (const page of pagesOf(slot, pages)) yield* this.admit(this.cutter.add(page));
      }
      if (this.cutter.isHolding(slot)) this.inCutter.push(slot);
      else directories.cut(slot);
    }
    flight.leave();
  }

  /** Passes work on once the budget has the bytes for it. The work is made on demand. */
  private async *admit(works: Iterable<Work>): AsyncGenerator<Work> {
    const { budget, flight } = this.context;
    for (const work of works) {
      this.note(work);
      flight.enter();
      if ('parcel' in work) await budget.bytes.take(work.parcel.heldBytes);
      yield work;
    }
  }

  private note(work: Work): void {
    const { directories } = this.context;
    if ('large' in work) {
      directories.hold(work.large.slot);
      return;
    }
    for (const slot of work.parcel.slots) directories.hold(slot);
    for (const slot of this.inCutter.splice(0)) directories.cut(slot);
  }
}
