/** The cut stage, which turns the selected entries into parcels and large files. */
import { concat, merge, of, type OperatorFunction, tap } from 'rxjs';
import type { SlotNumber } from '../model/index.js';
import type { CompareResult } from './compare.js';
import type { Context } from './context.js';
import { selectPages } from './large-listing.js';
import { ParcelCutter, type Work } from './parcel.js';
import { stage } from './stage.js';

/**
 * Emits parcels and large files in the order of the compared batches, one batch at a time. A parcel is emitted when the
 * budget has its bytes. If the walk waits and nothing is in flight, the entries in the cutter hold the budget, so the
 * cutter emits them.
 */
export function cut(context: Context): OperatorFunction<CompareResult, Work> {
  return (compared) => {
    const { standstills } = context.flight;
    const cutter = new Cutter(context);
    const selected = compared.pipe(tap({ complete: () => standstills.complete() }));
    const rest = of(undefined);
    return concat(merge(selected, standstills), rest).pipe(
      stage(context.counters.cut, (each) => cutter.cut(each)),
    );
  };
}

/** Cuts, and tracks which directories have entries in the parcels and large files. */
class Cutter {
  private readonly cutter: ParcelCutter;
  /** Slots of directories whose last rows are still in the cutter. */
  private inCutter: SlotNumber[] = [];

  constructor(private readonly context: Context) {
    this.cutter = new ParcelCutter(context.effort);
  }

  /** Yields work from the selected entries, as the budget allows. `undefined` yields the rest that the cutter holds. */
  async *cut(selected: CompareResult | undefined): AsyncGenerator<Work> {
    const { counters, directories, flight } = this.context;
    if (selected === undefined) {
      const parcel = counters.cut.timed(() => this.cutter.flush());
      if (parcel !== undefined) yield* this.admit([{ parcel }]);
      return;
    }
    for (const { slot, selection, pages, items, isSettled } of selected.changed) {
      directories.open(slot, items, isSettled);
      if (selection !== undefined) yield* this.admit(this.cutter.add(selection));
      if (pages !== undefined) {
        for await (const page of selectPages(this.context, pages)) {
          yield* this.admit(this.cutter.add(page));
        }
      }
      if (this.cutter.isHolding(slot)) this.inCutter.push(slot);
      else directories.cut(slot);
    }
    flight.leave();
  }

  /** Passes work on when the budget has the bytes for it. The work is made on demand. */
  private async *admit(works: Iterable<Work>): AsyncGenerator<Work> {
    const { budget, counters, flight } = this.context;
    const making = works[Symbol.iterator]();
    for (;;) {
      const { done, value: work } = counters.cut.timed(() => making.next());
      if (done === true) return;
      this.note(work);
      flight.enter();
      if ('parcel' in work) await budget.bytes.take(work.parcel.heldBytes);
      counters.cut.count(1, 'parcel' in work ? work.parcel.heldBytes : work.large.sizeBytes, 0);
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
