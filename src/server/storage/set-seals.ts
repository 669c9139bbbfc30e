/**
 * The seals of one set, as the client gives them: of each directory that was met in it, and of the set. They
 * mean nothing to a server; it keeps them in order, so that any set can be proven later.
 */
import type { Catalog } from '../../catalog/index.js';
import { TardisError } from '../../errors/index.js';
import { DIRECTORY_SEAL_BYTES, SET_SEAL_BYTES, SKIP_SEAL_BYTES } from '../../model/index.js';
import type { SetJournal } from '../../keeper/index.js';
import type { Slots } from './slots.js';

const NO_SEAL: Buffer = Buffer.alloc(SKIP_SEAL_BYTES);

export class SetSeals {
  private readonly catalog: Catalog;
  private readonly journal: SetJournal;
  private readonly slots: Slots;

  constructor(catalog: Catalog, journal: SetJournal, slots: Slots) {
    this.catalog = catalog;
    this.journal = journal;
    this.slots = slots;
  }

  /** What was kept beside the skip hashes of directories, one after another; empty when there is nothing. */
  keptOf(slots: readonly number[], same: Uint8Array): Buffer {
    if (!this.catalog.seals.hasSkipSeals) return Buffer.alloc(0);
    const kept: Buffer[] = [];
    for (const [index, slot] of slots.entries()) {
      if (same[index] !== 1) continue;
      const seal = this.slots.isHeld(slot)
        ? undefined
        : this.catalog.seals.skipSeal(this.slots.directoryOf(slot));
      kept.push(seal ?? NO_SEAL);
    }
    return Buffer.concat(kept);
  }

  /** The listings of directories are there whole: each has a seal now. */
  done(slots: readonly number[], seals: Buffer): void {
    if (seals.length === 0) return;
    this.forEach(slots, seals, (slot, seal) => {
      if (this.slots.isHeld(slot)) return;
      this.slots.get(slot).skipSeal = Buffer.from(seal);
      this.put(slot, seal);
    });
  }

  /** Directories are the same in another place. */
  moved(slots: readonly number[], seals: Buffer): void {
    this.forEach(slots, seals, (slot, seal) => {
      this.catalog.seals.setSkipSeal(this.slots.directoryOf(slot), Buffer.from(seal));
      this.put(slot, seal);
    });
  }

  /**
   * The set ends, with this seal: what of its roots was not met has none any more, and what was met
   * unchanged has what it had.
   */
  close(roots: readonly number[], seal: Buffer): void {
    if (seal.length === 0) return;
    if (seal.length !== SET_SEAL_BYTES) throw wrong();
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

  private put(slot: number, seal: Buffer): void {
    this.journal.seal(this.slots.directoryOf(slot), placeAndListing(seal));
  }

  private forEach(
    slots: readonly number[],
    seals: Buffer,
    visit: (slot: number, seal: Buffer) => void,
  ): void {
    if (seals.length !== slots.length * SKIP_SEAL_BYTES) throw wrong();
    for (const [index, slot] of slots.entries()) {
      visit(slot, seals.subarray(index * SKIP_SEAL_BYTES, (index + 1) * SKIP_SEAL_BYTES));
    }
  }
}

function placeAndListing(seal: Buffer): Buffer {
  return Buffer.from(seal.subarray(0, DIRECTORY_SEAL_BYTES));
}

function wrong(): TardisError {
  return new TardisError('PROTOCOL_VIOLATION', 'seals do not add up');
}
