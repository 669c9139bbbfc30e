/**
 * Seals of one set, as sent by the client: one for each directory that was met in the set, and one for the set. The
 * server cannot interpret them. It stores them in order, so that any set can be verified later.
 */
import type { Catalog } from '../../store/catalog/index.js';
import { protocolViolation } from '../../errors/index.js';
import {
  DIRECTORY_SEAL_BYTES,
  type RootNumber,
  SET_SEAL_BYTES,
  SKIP_SEAL_BYTES,
  type SlotNumber,
} from '../../model/index.js';
import type { SetJournal } from '../../store/writer/index.js';
import type { Slots } from './slots.js';

const NO_SEAL: Buffer = Buffer.alloc(SKIP_SEAL_BYTES);

export class SetSeals {
  constructor(
    private readonly catalog: Catalog,
    private readonly journal: SetJournal,
    private readonly slots: Slots,
  ) {}

  /**
   * Returns the seals stored beside the skip hashes of unchanged directories, concatenated; empty if there are
   * none.
   */
  keptOf(slots: readonly SlotNumber[], same: Uint8Array): Buffer {
    if (!this.catalog.seals.hasSkipSeals) return Buffer.alloc(0);
    const kept: Buffer[] = [];
    for (const [index, slot] of slots.entries()) {
      if (same[index] !== 1) continue;
      const seal = this.slots.isProtected(slot)
        ? undefined
        : this.catalog.seals.skipSeal(this.slots.directoryOf(slot));
      kept.push(seal ?? NO_SEAL);
    }
    return Buffer.concat(kept);
  }

  /** Stores the seals of directories whose listings are complete. */
  done(slots: readonly SlotNumber[], seals: Buffer): void {
    if (seals.length === 0) return;
    this.forEach(slots, seals, (slot, seal) => {
      if (this.slots.isProtected(slot)) return;
      this.slots.get(slot).skipSeal = Buffer.from(seal);
      this.put(slot, seal);
    });
  }

  /** Stores the seals of directories that have moved but not changed. */
  moved(slots: readonly SlotNumber[], seals: Buffer): void {
    this.forEach(slots, seals, (slot, seal) => {
      this.slots.fresh.keepSkip(this.slots.directoryOf(slot), undefined, Buffer.from(seal));
      this.put(slot, seal);
    });
  }

  /**
   * Ends the set with its seal. Directories of its roots that were not met lose their seals; directories that were
   * met unchanged keep theirs.
   */
  close(roots: readonly RootNumber[], seal: Buffer): void {
    if (seal.length === 0) return;
    if (seal.length !== SET_SEAL_BYTES)
      throw protocolViolation('the seal of a set has a wrong length');
    const { seals } = this.catalog;
    const met = this.slots.met();
    for (const root of roots) {
      for (const directory of seals.openOf(root)) {
        if (!met.delete(directory)) this.journal.seal(directory, undefined);
      }
    }
    for (const directory of met) {
      const kept = seals.skipSeal(directory);
      if (kept !== undefined) this.journal.seal(directory, placeAndListing(kept));
    }
    seals.putSet(this.journal.set, seal);
    this.journal.appendEvent({ type: 'set-sealed', set: this.journal.set, seal });
  }

  private put(slot: SlotNumber, seal: Buffer): void {
    this.journal.seal(this.slots.directoryOf(slot), placeAndListing(seal));
  }

  private forEach(
    slots: readonly SlotNumber[],
    seals: Buffer,
    visit: (slot: SlotNumber, seal: Buffer) => void,
  ): void {
    if (seals.length !== slots.length * SKIP_SEAL_BYTES) {
      throw protocolViolation('slots and seals differ in number');
    }
    for (const [index, slot] of slots.entries()) {
      visit(slot, seals.subarray(index * SKIP_SEAL_BYTES, (index + 1) * SKIP_SEAL_BYTES));
    }
  }
}

function placeAndListing(seal: Buffer): Buffer {
  return Buffer.from(seal.subarray(0, DIRECTORY_SEAL_BYTES));
}
