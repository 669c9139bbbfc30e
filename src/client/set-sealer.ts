/**
 * Computes the seals of one set while its directories are sent: two for each directory (of its place and of its
 * listing), and at the end one for the set. A directory that the server reports as unchanged is accepted only with the
 * proof that the client made earlier.
 */
import { ownSetSeal, SealSum, type TreeSealer } from '../crypto/index.js';
import { TardisError } from '../errors/index.js';
import {
  DIGEST_BYTES,
  DIRECTORY_SEAL_BYTES,
  NO_SEAL,
  RowReader,
  SEAL_BYTES,
  sealIn,
  SET_SEAL_BYTES,
  SKIP_SEAL_BYTES,
  type SlotNumber,
} from '../model/index.js';
import { splitSkipSeal } from '../crypto/index.js';
import {
  HEAD_PROTECTED,
  HEAD_SAME,
  type Head,
  openedDigest,
  Protection,
} from '../transport/index.js';
import type { HeadBatch } from '../pipeline/index.js';

/** A directory whose entries are being sent. */
interface OpenListing {
  readonly sum: SealSum;
  readonly skipHash: Buffer;
  /**
   * True if a part of the directory could not be read. The server then keeps older entries, which are not known here.
   */
  isPartial: boolean;
}

interface SealedRoot {
  readonly path: Buffer;
  readonly seal: Buffer;
  readonly place: Buffer;
}

/** The seal of a set, and the digest of the answer to `openSet` on which the seal depends. */
export type SealedSet = Pick<Head<'closeSet'>, 'seal' | 'opened'>;

export class SetSealer {
  /** Sum over the seals of the roots' own rows. */
  readonly rootSum = new SealSum();
  private readonly directories = new SealSum();
  private readonly open = new Map<SlotNumber, OpenListing>();
  /** Place seals by slot, SEAL_BYTES each. */
  private places: Buffer = Buffer.alloc(1024 * SEAL_BYTES);
  private readonly protectedSlots = new Set<SlotNumber>();
  private roots: SealedRoot[] = [];
  /** Index of each root by its slot, and the roots whose listing is sealed. */
  private readonly rootSlots = new Map<SlotNumber, number>();
  private readonly sealedRoots = new Set<number>();
  private opened: Head<'setOpened'> | undefined;
  private clientTimeMs = 0;

  constructor(private readonly tree: TreeSealer) {}

  /** Takes the message that opens the set, with sealed rows and paths. */
  begin({ paths, rows, clientTimeMs }: Head<'openSet'>): void {
    this.clientTimeMs = clientTimeMs;
    const reader = new RowReader(rows);
    let at = 0;
    this.roots = paths.map((path) => {
      const seal = sealIn(reader.attributes(at));
      at += reader.rowBytes(at);
      return { path, seal: Buffer.from(seal), place: this.tree.rootPlace(path) };
    });
  }

  begun(opened: Head<'setOpened'>): void {
    this.opened = opened;
  }

  /** Records declared directories. Their names and skip hashes must already be sealed. */
  declare({ slots, parents, rows, hashes }: HeadBatch): void {
    const reader = new RowReader(rows);
    let at = 0;
    for (const [index, slot] of slots.entries()) {
      const parent = parents[index]!;
      const place =
        parent < 0
          ? this.roots[-1 - parent]!.place
          : this.tree.place(this.placeOf(parent), reader.name(at));
      at += reader.rowBytes(at);
      this.setPlace(slot, place);
      if (parent < 0) this.rootSlots.set(slot, -1 - parent);
      const skipHash = Buffer.from(
        hashes.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES),
      );
      this.open.set(slot, { sum: new SealSum(), skipHash, isPartial: false });
    }
  }

  /**
   * Takes the answers to declared directories. `seals` holds the seals that the server stored for the unchanged
   * directories. Returns the directories whose place has changed, with the new seals to store. Throws NOT_AUTHENTIC.
   */
  answered(
    { slots, parents }: HeadBatch,
    same: Uint8Array,
    seals: Buffer,
  ): { slots: SlotNumber[]; seals: Buffer } {
    const moved: { slot: SlotNumber; seal: Buffer }[] = [];
    let at = 0;
    for (const [index, slot] of slots.entries()) {
      if (same[index] === HEAD_PROTECTED) {
        this.open.delete(slot);
        this.protectedSlots.add(slot);
        continue;
      }
      if (same[index] !== HEAD_SAME) continue;
      const kept = splitSkipSeal(seals.subarray(at, at + SKIP_SEAL_BYTES));
      at += SKIP_SEAL_BYTES;
      const { skipHash } = this.open.get(slot)!;
      this.open.delete(slot);
      if (this.isProtected(parents[index]!)) {
        this.protectedSlots.add(slot);
        continue;
      }
      if (!this.tree.proof(skipHash, kept.listing).equals(kept.proof)) {
        throw new TardisError(
          'NOT_AUTHENTIC',
          'the server reported a directory as unchanged without proof',
        );
      }
      const place = this.placeOf(slot);
      this.add(slot, place, kept.listing);
      if (kept.place.equals(place)) continue;
      moved.push({ slot, seal: Buffer.concat([place, kept.listing, kept.proof]) });
    }
    return {
      slots: moved.map(({ slot }) => slot),
      seals: Buffer.concat(moved.map(({ seal }) => seal)),
    };
  }

  private isProtected(parent: SlotNumber): boolean {
    if (parent >= 0) return this.protectedSlots.has(parent);
    return (this.opened?.protection[-1 - parent] ?? Protection.no) !== Protection.no;
  }

  /** Returns the sum over the seals of a directory's entries so far. */
  sumOf(slot: SlotNumber): SealSum {
    const listing = this.open.get(slot);
    if (listing === undefined) throw new Error(`a row of slot ${slot}, which is not open`);
    return listing.sum;
  }

  /** Marks a directory in which the server keeps an older entry. */
  isPartial(slot: SlotNumber): void {
    const listing = this.open.get(slot);
    if (listing !== undefined) listing.isPartial = true;
  }

  /** Finishes the listings of directories; returns the seals to store for them. */
  done(slots: readonly SlotNumber[]): Buffer {
    const kept = slots.map((slot) => {
      const { sum, skipHash, isPartial } = this.open.get(slot)!;
      this.open.delete(slot);
      const place = this.placeOf(slot);
      const listing = isPartial ? NO_SEAL : this.tree.listing(sum);
      this.add(slot, place, listing);
      return Buffer.concat([place, listing, this.tree.proof(skipHash, listing)]);
    });
    return Buffer.concat(kept);
  }

  /** Returns the seal of the set in its stored form. All directories must be done. */
  end(): SealedSet {
    const { set, name, sealedSet, seal } = this.opened!;
    const isSealed = seal.length === SET_SEAL_BYTES;
    const roots = this.roots.map((root, index) => ({
      ...root,
      // The root is protected or could not be listed: its entries stay as they were.
      isProtected: !this.sealedRoots.has(index),
    }));
    const previous = {
      previousSet: isSealed ? sealedSet : 0,
      previousSeal: isSealed ? ownSetSeal(seal) : NO_SEAL,
    };
    const { clientTimeMs } = this;
    const covered = { set, name, clientTimeMs, roots, ...previous };
    return { seal: this.tree.set(covered, this.directories), opened: openedDigest(this.opened!) };
  }

  private add(slot: SlotNumber, place: Buffer, listing: Buffer): void {
    const root = this.rootSlots.get(slot);
    if (root !== undefined) this.sealedRoots.add(root);
    const seal = Buffer.concat([place, listing], DIRECTORY_SEAL_BYTES);
    this.tree.addDirectories(seal, this.directories);
  }

  private placeOf(slot: SlotNumber): Buffer {
    return this.places.subarray(slot * SEAL_BYTES, (slot + 1) * SEAL_BYTES);
  }

  private setPlace(slot: SlotNumber, place: Buffer): void {
    const end = (slot + 1) * SEAL_BYTES;
    if (end > this.places.length) {
      const larger = Buffer.alloc(Math.max(2 * this.places.length, end));
      this.places.copy(larger);
      this.places = larger;
    }
    place.copy(this.places, slot * SEAL_BYTES);
  }
}
