/**
 * Seals of entries, listings, directories and sets: keyed sums that only the owner of the keys can make,
 * so that a store which was changed, mixed up or put back shows. docs/formats.md, "Seals", says what each
 * covers.
 */
import {
  DIRECTORY_SEAL_BYTES,
  KNOWN_BYTES,
  SEAL_BYTES,
  SET_SEAL_BYTES,
  SKIP_SEAL_BYTES,
} from '../model/index.js';
import type { SealingCalls } from '../system/index.js';

export interface SealKeys {
  /** Of entries' seals, and of the sums over them. */
  readonly entries: Uint8Array;
  readonly listings: Uint8Array;
  readonly places: Uint8Array;
  readonly proofs: Uint8Array;
  readonly sets: Uint8Array;
}

/** What the seals of a listing's entries, or of a set's directories, add up to: in any order. */
export class SealSum {
  readonly bytes: Buffer = Buffer.alloc(32);
  count = 0;
}

/** What a set's seal covers besides its directories. */
export interface SealedSet {
  readonly set: number;
  readonly clientTimeMs: number;
  /** As the server has it. */
  readonly name: string;
  /** The sealed set before it; 0: none. */
  readonly previousSet: number;
  readonly previousSeal: Buffer;
  /** By their sealed paths; a held one is not part of the set. */
  readonly roots: readonly {
    readonly path: Buffer;
    readonly seal: Buffer;
    readonly isHeld: boolean;
  }[];
}

const ROOT_LABEL = Buffer.from('root');

export class TreeSealer {
  private readonly calls: SealingCalls;
  private readonly nameKeys: Uint8Array;
  private readonly keys: SealKeys;

  constructor(calls: SealingCalls, nameKeys: Uint8Array, keys: SealKeys) {
    this.calls = calls;
    this.nameKeys = nameKeys;
    this.keys = keys;
  }

  /** Final rows, sealed, each with a seal of its own, which is added to `sum`. */
  rows(rows: Uint8Array, count: number, sum: SealSum): Buffer {
    sum.count += count;
    return this.calls.sealRows(this.nameKeys, rows, this.keys.entries, sum.bytes);
  }

  /**
   * Adds what is known of the unchanged entries of a listing (rows without digests, sealed) to `sum`. What
   * is not as this client once sealed it becomes wanted.
   */
  known(rows: Buffer, known: Buffer, wanted: Uint8Array, sum: SealSum): void {
    const all = known.length === 0 ? Buffer.alloc(wanted.length * KNOWN_BYTES) : known;
    sum.count += this.calls.checkKnown(this.keys.entries, rows, all, wanted, sum.bytes);
  }

  /**
   * The inverse of `rows`; adds their seals to `sum`. Undefined when a row is not what this client sealed.
   * `contents`: by what each covers its content (see contentHash), SEAL_BYTES each.
   */
  open(rows: Buffer, count: number, sum: SealSum): { rows: Buffer; contents: Buffer } | undefined {
    sum.count += count;
    const contents = Buffer.allocUnsafe(count * SEAL_BYTES);
    const { entries } = this.keys;
    const opened = this.calls.openRows(this.nameKeys, entries, rows, sum.bytes, contents);
    return opened && { rows: opened, contents };
  }

  /** Stands for where a root is. */
  rootPlace(sealedPath: Uint8Array): Buffer {
    return this.mac(this.keys.places, Buffer.concat([ROOT_LABEL, sealedPath]));
  }

  /** Stands for where a directory is: below another one, by its sealed name. */
  place(above: Uint8Array, sealedName: Uint8Array): Buffer {
    return this.mac(this.keys.places, Buffer.concat([above, sealedName]));
  }

  /** The seal of a directory's own entries. */
  listing({ bytes, count }: SealSum): Buffer {
    const covered = Buffer.alloc(bytes.length + 8);
    bytes.copy(covered);
    covered.writeBigUInt64LE(BigInt(count), bytes.length);
    return this.mac(this.keys.listings, covered);
  }

  /** Proves that a listing with this skip hash has this seal. */
  proof(skipHash: Uint8Array, listing: Uint8Array): Buffer {
    return this.mac(this.keys.proofs, Buffer.concat([skipHash, listing]));
  }

  /** Adds directories, DIRECTORY_SEAL_BYTES each, to what a set has. */
  addDirectories(seals: Buffer, sum: SealSum): void {
    this.calls.addMacs(this.keys.sets, seals, DIRECTORY_SEAL_BYTES, sum.bytes);
    sum.count += seals.length / DIRECTORY_SEAL_BYTES;
  }

  /** The seal of a set of these directories, as it is stored. */
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
      ...roots.flatMap(({ path, seal, isHeld }) => {
        const head = Buffer.alloc(5);
        head.writeUInt32LE(path.length);
        head[4] = isHeld ? 1 : 0;
        return isHeld ? [head, path] : [head, path, seal];
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

/** The seal of a set's own, of what is stored of it. */
export function ownSetSeal(stored: Buffer): Buffer {
  return stored.subarray(8 + SEAL_BYTES);
}

/** What is kept beside a skip hash, taken apart. */
export function splitSkipSeal(kept: Buffer): { place: Buffer; listing: Buffer; proof: Buffer } {
  const at = (index: number): Buffer => kept.subarray(index * SEAL_BYTES, (index + 1) * SEAL_BYTES);
  if (kept.length !== SKIP_SEAL_BYTES) return splitSkipSeal(Buffer.alloc(SKIP_SEAL_BYTES));
  return { place: at(0), listing: at(1), proof: at(2) };
}
