/**
 * The cut stage: turns what the compare stage selected into work, and keeps the books on which
 * directories have entries in it.
 */
import type { CompareResult } from './compare.js';
import type { OpenDirectories } from './directories.js';
import {
  type LargeFile,
  type Parcel,
  ParcelCutter,
  type ParcelLimits,
  type Work,
} from './parcel.js';

export type ParcelWork = Extract<Work, { parcel: Parcel }>;
export type LargeWork = Extract<Work, { large: LargeFile }>;

export class CutStage {
  private readonly cutter: ParcelCutter;
  /** Slots whose last rows are still in the cutter. */
  private inCutter: number[] = [];
  private readonly directories: OpenDirectories;

  constructor(limits: ParcelLimits, directories: OpenDirectories) {
    this.cutter = new ParcelCutter(limits);
    this.directories = directories;
  }

  /** Work that is ready, made as it is asked for; `undefined` asks for what is left over. */
  *cut(selected: CompareResult | undefined): Generator<Work> {
    for (const { selection, items, isSettled } of selected?.changed ?? []) {
      const { slot } = selection;
      this.directories.open(slot, items, isSettled);
      for (const work of this.cutter.add(selection)) yield this.noted(work);
      if (this.cutter.isHolding(slot)) this.inCutter.push(slot);
      else this.directories.cut(slot);
    }
    const rest = selected === undefined ? this.cutter.flush() : undefined;
    if (rest !== undefined) yield this.noted({ parcel: rest });
  }

  private noted(work: Work): Work {
    if ('large' in work) {
      this.directories.hold(work.large.slot);
      return work;
    }
    for (const slot of work.parcel.slots) this.directories.hold(slot);
    for (const slot of this.inCutter.splice(0)) this.directories.cut(slot);
    return work;
  }
}
