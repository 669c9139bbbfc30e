/**
 * Seals of entries, listings, directories and sets: keyed checksums that only an owner of the keys can compute. They
 * reveal a store that was changed, mixed up or rolled back. docs/inside/formats.md, "Seals", lists what each seal covers.
 */
import {
  DIRECTORY_SEAL_BYTES,
  type DirectoryId,
  KNOWN_BYTES,
  ROW_FIXED_BYTES,
  RowOffset,
  RowReader,
  SEAL_BYTES,
  SET_SEAL_BYTES,
  SKIP_SEAL_BYTES,
  type SetNumber,
} from '../model/index.js';
import type { SealingCalls } from '../system/index.js';

interface SealKeys {
  /** Two keys: for the seals of entries, and for the sums over those seals. */
  readonly entries: Uint8Array;
  readonly listings: Uint8Array;
  readonly places: Uint8Array;
  readonly proofs: Uint8Array;
  readonly sets: Uint8Array;
}

/** Sum over the seals of a listing's entries, or of a set's directories. Their order does not matter. */
export class SealSum {
  readonly bytes: Buffer = Buffer.alloc(32);
  count = 0;

  /** Makes this sum equal to another one. Returns this sum. */
  set({ bytes, count }: SealSum): this {
    bytes.copy(this.bytes);
    this.count = count;
    return this;
  }
}

/** The values that a set's seal covers besides its directories. */
interface SealedSet {
  readonly set: SetNumber;
  readonly clientTimeMs: number;
  /** Name of the set on the server. */
  readonly name: string;
  /** Number of the sealed set before this one; 0 if none. */
  readonly previousSet: SetNumber;
  readonly previousSeal: Buffer;
  /**
   * Roots of the set, with sealed paths. The set's seal does not cover the field `seal` of a root with `isProtected`,
   * since the client did not read this root.
   */
  readonly roots: readonly {
    readonly path: Buffer;
    readonly seal: Buffer;
    readonly isProtected: boolean;
  }[];
}

/** A packed page of sealed entries: `bytes` bytes of `value`, from the offset `from`. */
interface PageRange {
  readonly value: Buffer;
  readonly from: number;
  readonly bytes: number;
}

/** An opened page in the same packed form, with the ids and places of the directories in it. */
export interface OpenedListing {
  readonly count: number;
  readonly children: readonly { readonly id: DirectoryId; readonly place: Buffer }[];
  /** SEAL_BYTES for each entry of the page: the content hash that its seal covers. The content is not checked here. */
  readonly hashes: Buffer;
  readonly page: Buffer;
}

const LISTING_HEAD_BYTES = 8;
const ID_BYTES = 8;
const CHILD_BYTES: number = ID_BYTES + SEAL_BYTES;
const TWO_32 = 0x1_0000_0000;
/** Bytes of each of the two keys of entries, which are concatenated. */
const SEAL_KEY_BYTES = 32;
const ROOT_LABEL = Buffer.from('root');

export class TreeSealer {
  constructor(
    private readonly calls: SealingCalls,
    private readonly nameKeys: Uint8Array,
    private readonly keys: SealKeys,
  ) {}

  /** Seals final rows. Each row gets a seal of its own, which is added to `sum`. */
  rows(rows: Uint8Array, count: number, sum: SealSum): Buffer {
    sum.count += count;
    return this.calls.sealRows(this.nameKeys, rows, this.keys.entries, sum.bytes);
  }

  /**
   * Checks the stored seals of the entries of a listing for which `wanted` has 0. `rows` are sealed rows without
   * digests; `known` has KNOWN_BYTES for each row, or is empty. Adds the right seals to `sum`, and sets `wanted` to 1
   * for each entry whose seal is wrong or missing.
   */
  known(rows: Buffer, known: Buffer, wanted: Uint8Array, sum: SealSum): void {
    const all = known.length === 0 ? Buffer.alloc(wanted.length * KNOWN_BYTES) : known;
    sum.count += this.calls.checkKnown(this.keys.entries, rows, all, wanted, sum.bytes);
  }

  /**
   * Opens sealed rows and adds their seals to `sum`. Returns undefined if a row was not sealed by this client.
   * `contents` has SEAL_BYTES for each row: the content hash that the seal of the row covers. The content itself is
   * not checked here.
   */
  open(rows: Buffer, count: number, sum: SealSum): { rows: Buffer; contents: Buffer } | undefined {
    sum.count += count;
    const contents = Buffer.allocUnsafe(count * SEAL_BYTES);
    const { entries } = this.keys;
    const opened = this.calls.openRows(this.nameKeys, entries, rows, sum.bytes, contents);
    return opened && { rows: opened, contents };
  }

  /**
   * Opens a packed page of a directory and adds the seals of its entries to `sum` (see `openListing` of the addon).
   * Returns undefined if an entry is damaged or not as this client sealed it; `sum` is invalid then. If
   * `sorts` is false, the entries keep the order of their sealed names.
   */
  openListing(
    { value, from, bytes }: PageRange,
    place: Buffer,
    sum: SealSum,
    sorts = true,
  ): OpenedListing | undefined {
    const { entries, places } = this.keys;
    const opened = this.calls.openListing(
      this.nameKeys,
      entries,
      places,
      place,
      value,
      from,
      bytes,
      sum.bytes,
      sorts,
    );
    if (opened === undefined) return undefined;
    const [count, directories] = [opened.readUInt32LE(0), opened.readUInt32LE(4)];
    sum.count += count;
    const children = Array.from({ length: directories }, (_, index) => {
      const at = LISTING_HEAD_BYTES + index * CHILD_BYTES;
      const id = opened.readUInt32LE(at) + opened.readUInt32LE(at + 4) * TWO_32;
      // A view would keep the page.
      return { id, place: Buffer.from(opened.subarray(at + ID_BYTES, at + CHILD_BYTES)) };
    });
    const hashesAt = LISTING_HEAD_BYTES + directories * CHILD_BYTES;
    const pageAt = hashesAt + count * SEAL_BYTES;
    const hashes = opened.subarray(hashesAt, pageAt);
    return { count, children, hashes, page: opened.subarray(pageAt) };
  }

  /** Computes the seal that a sealed row should have. `unlisted` has the hashes of its content and its attributes. */
  sealOf(row: Buffer, unlisted: Buffer): Buffer {
    const { type, flags, permissions, linkCount, sizeBytes, birthTimeNs, inode } = RowOffset;
    const reader = new RowReader(row);
    const variable = ROW_FIXED_BYTES + reader.name(0).length + reader.linkTarget(0).length;
    const covered = Buffer.concat([
      row.subarray(type, flags),
      row.subarray(permissions, linkCount),
      row.subarray(sizeBytes, birthTimeNs),
      row.subarray(inode, ROW_FIXED_BYTES),
      row.subarray(RowOffset.nameBytes, type),
      row.subarray(ROW_FIXED_BYTES, variable),
      unlisted,
    ]);
    return this.mac(this.keys.entries.subarray(0, SEAL_KEY_BYTES), covered);
  }

  /** Adds the seal of one entry to `sum`. */
  addEntry(seal: Buffer, sum: SealSum): void {
    this.calls.addMacs(this.keys.entries.subarray(SEAL_KEY_BYTES), seal, SEAL_BYTES, sum.bytes);
    sum.count += 1;
  }

  /** Returns the place of a root: a MAC of its sealed path. */
  rootPlace(sealedPath: Uint8Array): Buffer {
    return this.mac(this.keys.places, Buffer.concat([ROOT_LABEL, sealedPath]));
  }

  /** Returns the place of a directory: a MAC of the place of its parent and its sealed name. */
  place(above: Uint8Array, sealedName: Uint8Array): Buffer {
    return this.mac(this.keys.places, Buffer.concat([above, sealedName]));
  }

  /** Returns the seal of a listing, over the sum and the number of its entries. */
  listing({ bytes, count }: SealSum): Buffer {
    const covered = Buffer.alloc(bytes.length + 8);
    bytes.copy(covered);
    covered.writeBigUInt64LE(BigInt(count), bytes.length);
    return this.mac(this.keys.listings, covered);
  }

  /** Returns the proof that a listing with this skip hash has this seal. */
  proof(skipHash: Uint8Array, listing: Uint8Array): Buffer {
    return this.mac(this.keys.proofs, Buffer.concat([skipHash, listing]));
  }

  /** Adds the seals of directories of a set, DIRECTORY_SEAL_BYTES each, to `sum`. */
  addDirectories(seals: Buffer, sum: SealSum): void {
    this.calls.addMacs(this.keys.sets, seals, DIRECTORY_SEAL_BYTES, sum.bytes);
    sum.count += seals.length / DIRECTORY_SEAL_BYTES;
  }

  /** Returns the seal of a set with these directories, in the form that is stored. */
  set(set: SealedSet, directories: SealSum): Buffer {
    const stored = Buffer.alloc(SET_SEAL_BYTES);
    stored.writeBigUInt64LE(BigInt(set.previousSet));
    set.previousSeal.copy(stored, 8);
    const name = Buffer.from(set.name);
    const fixed = Buffer.alloc(8 * 4);
    fixed.writeBigUInt64LE(BigInt(set.set), 0);
    fixed.writeBigInt64LE(BigInt(set.clientTimeMs), 8);
    fixed.writeBigUInt64LE(BigInt(directories.count), 16);
    fixed.writeBigUInt64LE(BigInt(name.length), 24);
    const roots = [...set.roots].sort((one, other) => Buffer.compare(one.path, other.path));
    const covered = Buffer.concat([
      fixed,
      name,
      directories.bytes,
      stored.subarray(0, 8 + SEAL_BYTES),
      ...roots.flatMap(({ path, seal, isProtected }) => {
        const head = Buffer.alloc(5);
        head.writeUInt32LE(path.length);
        head[4] = isProtected ? 1 : 0;
        return isProtected ? [head, path] : [head, path, seal];
      }),
    ]);
    this.mac(this.keys.sets, covered).copy(stored, 8 + SEAL_BYTES);
    return stored;
  }

  private mac(key: Uint8Array, data: Uint8Array): Buffer {
    const mac = Buffer.allocUnsafe(SEAL_BYTES);
    this.calls.mac(key, data, 0, data.length, mac, 0, SEAL_BYTES);
    return mac;
  }
}

/** Returns a set's own seal, the last part of the stored form. */
export function ownSetSeal(stored: Buffer): Buffer {
  return stored.subarray(8 + SEAL_BYTES);
}

/** Returns the number and the own seal of the sealed set before, as the stored form has them; 0 if there is none. */
export function sealBefore(stored: Buffer): { previousSet: SetNumber; previousSeal: Buffer } {
  return {
    previousSet: stored.length === SET_SEAL_BYTES ? Number(stored.readBigUInt64LE(0)) : 0,
    previousSeal: Buffer.from(stored.subarray(8, 8 + SEAL_BYTES)),
  };
}

/** Splits the value stored with a skip hash. A value of a wrong length is read as zeros, which prove nothing. */
export function splitSkipSeal(kept: Buffer): { place: Buffer; listing: Buffer; proof: Buffer } {
  const at = (index: number): Buffer => kept.subarray(index * SEAL_BYTES, (index + 1) * SEAL_BYTES);
  if (kept.length !== SKIP_SEAL_BYTES) return splitSkipSeal(Buffer.alloc(SKIP_SEAL_BYTES));
  return { place: at(0), listing: at(1), proof: at(2) };
}
