/**
 * The seals of one set, made while its directories go by: of each its place and its listing, and in the end
 * that of the set. What a server says of unchanged directories is believed only with the client's own proof.
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
} from '../model/index.js';
import { splitSkipSeal } from '../crypto/index.js';
import { type Head, Held } from '../transport/index.js';
import type { HeadBatch } from '../pipeline/index.js';

/** A directory whose entries are on their way. */
interface OpenListing {
  readonly sum: SealSum;
  readonly skipHash: Buffer;
  /** Something of it could not be read: what the server keeps of that is not known here. */
  isPartial: boolean;
}

interface SealedRoot {
  readonly path: Buffer;
  readonly seal: Buffer;
  readonly place: Buffer;
}

export class SetSealer {
  /** Seals the roots' own rows. */
  readonly rootSum = new SealSum();
  private readonly directories = new SealSum();
  private readonly open = new Map<number, OpenListing>();
  /** By slot, SEAL_BYTES each. */
  private places: Buffer = Buffer.alloc(1024 * SEAL_BYTES);
  private readonly held = new Set<number>();
  private roots: SealedRoot[] = [];
  /** Which root each root's slot is, and the roots that were looked at. */
  private readonly rootSlots = new Map<number, number>();
  private readonly sealedRoots = new Set<number>();
  private opened: Head<'setOpened'> | undefined;
  private clientTimeMs = 0;
  private readonly tree: TreeSealer;

  constructor(tree: TreeSealer) {
    this.tree = tree;
  }

  /** The head with which a set is opened, its rows and paths sealed. */
  begin({ paths, rows, clientTimeMs }: Head<'openSet'>): void {
    this.clientTimeMs = clientTimeMs;
    const reader = new RowReader(rows);
    let at = 0;
    this.roots = paths.map((path) => {
      const seal = sealIn(reader.attributes(at));
      at += reader.rowBytes(at);
      return {
        path,
        seal: Buffer.from(seal),
        place: this.tree.rootPlace(path),
      };
    });
  }

  begun(opened: Head<'setOpened'>): void {
    this.opened = opened;
  }

  /** Directories are declared, their names and skip hashes sealed. */
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
   * Takes the answers to what was declared. `seals` has what was kept of those that are the same. Returns
   * those whose place is another now, with what is to be kept. Throws NOT_AUTHENTIC.
   */
  answered(
    { slots, parents }: HeadBatch,
    same: Uint8Array,
    seals: Buffer,
  ): { slots: number[]; seals: Buffer } {
    const moved: { slot: number; seal: Buffer }[] = [];
    let at = 0;
    for (const [index, slot] of slots.entries()) {
      if (same[index] !== 1) continue;
      const kept = splitSkipSeal(seals.subarray(at, at + SKIP_SEAL_BYTES));
      at += SKIP_SEAL_BYTES;
      const { skipHash } = this.open.get(slot)!;
      this.open.delete(slot);
      if (this.isHeld(parents[index]!)) {
        this.held.add(slot);
        continue;
      }
      if (!this.tree.proof(skipHash, kept.listing).equals(kept.proof)) {
        throw new TardisError(
          'NOT_AUTHENTIC',
          'the server calls a directory unchanged without proof',
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

  private isHeld(parent: number): boolean {
    if (parent >= 0) return this.held.has(parent);
    return (this.opened?.held[-1 - parent] ?? Held.no) !== Held.no;
  }

  /** What the entries of a directory add up to so far. */
  sumOf(slot: number): SealSum {
    const listing = this.open.get(slot);
    if (listing === undefined) throw new Error(`a row of slot ${slot}, which is not open`);
    return listing.sum;
  }

  /** Some entry of a directory stays as the server has it. */
  isPartial(slot: number): void {
    const listing = this.open.get(slot);
    if (listing !== undefined) listing.isPartial = true;
  }

  /** The listings of directories are whole: what is to be kept of each. */
  done(slots: readonly number[]): Buffer {
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

  /** The seal of the set, as it is to be stored. All directories must be done. */
  end(): Buffer {
    const { set, name, sealedSet, seal } = this.opened!;
    const isSealed = seal.length === SET_SEAL_BYTES;
    const roots = this.roots.map((root, index) => ({
      ...root,
      // Held, or it could not be listed: its entries are what they were.
      isHeld: !this.sealedRoots.has(index),
    }));
    const previous = {
      previousSet: isSealed ? sealedSet : 0,
      previousSeal: isSealed ? ownSetSeal(seal) : NO_SEAL,
    };
    const { clientTimeMs } = this;
    return this.tree.set({ set, name, clientTimeMs, roots, ...previous }, this.directories);
  }

  private add(slot: number, place: Buffer, listing: Buffer): void {
    const root = this.rootSlots.get(slot);
    if (root !== undefined) this.sealedRoots.add(root);
    const seal = Buffer.concat([place, listing], DIRECTORY_SEAL_BYTES);
    this.tree.addDirectories(seal, this.directories);
  }

  private placeOf(slot: number): Buffer {
    return this.places.subarray(slot * SEAL_BYTES, (slot + 1) * SEAL_BYTES);
  }

  private setPlace(slot: number, place: Buffer): void {
    const end = (slot + 1) * SEAL_BYTES;
    if (end > this.places.length) {
      const larger = Buffer.alloc(Math.max(2 * this.places.length, end));
      this.places.copy(larger);
      this.places = larger;
    }
    place.copy(this.places, slot * SEAL_BYTES);
  }
}
