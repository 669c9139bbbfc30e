/**
 * Rows about large contents, from the oldest to the newest: the digest and the user of each, and some of its features.
 * Contents that share data share features. Rows of different users are never compared: the size of a delta on the
 * content of another owner would show how much of it that owner has guessed.
 */
import { bufferOf, DIGEST_BYTES, startBefore } from '../model/index.js';
import { FEATURE_BYTES } from '../system/index.js';

const USER_AT = DIGEST_BYTES;
const COUNT_AT = USER_AT + 4;
const HEAD_BYTES = COUNT_AT + 4;
/** Number of contents of a user that may have a feature. Older ones lose it, so each version of a file costs its changes. */
const MOST_EQUAL = 4;
/** Minimum number of features that a content shares with a file to be similar to it. */
const LEAST_SHARED = 2;
/** Contents that share nearly as many features as the one that shares most are equally similar. The newest is best. */
const NEAR = 0.75;

/** Returns the row of a content. */
export function similarRow(digest: Uint8Array, user: number, features: Uint8Array): Buffer {
  const row = Buffer.alloc(HEAD_BYTES + features.length);
  row.set(digest);
  row.writeUInt32LE(user, USER_AT);
  row.writeUInt32LE(features.length / FEATURE_BYTES, COUNT_AT);
  row.set(features, HEAD_BYTES);
  return row;
}

/** True if bytes, which may be hostile, are whole rows. */
export function areRows(bytes: Buffer): boolean {
  let at = 0;
  while (at + HEAD_BYTES <= bytes.length) at = endOf(bytes, at);
  return at === bytes.length;
}

/** The contents that are similar to a file. */
export interface Similar {
  /** Digests of those that share most features, the newest first. */
  readonly near: readonly Buffer[];
  /** True if the given content shares any feature; undefined if there is no row of it. */
  readonly isSharing: boolean | undefined;
}

export class SimilarRows {
  private readonly starts: number[] = [];
  /** Hash table of features: the place of each in `bytes`, plus 1. */
  private readonly slots: Uint32Array;
  private readonly mask: number;

  /** `bytes` are whole rows. */
  constructor(private readonly bytes: Buffer) {
    for (let at = 0; at < bytes.length; at = endOf(bytes, at)) this.starts.push(at);
    let places = 2;
    while (places < (2 * bytes.length) / FEATURE_BYTES) places *= 2;
    this.slots = new Uint32Array(places);
    this.mask = places - 1;
    for (const start of this.starts.toReversed()) this.addFeatures(start);
  }

  get isEmpty(): boolean {
    return this.starts.length === 0;
  }

  /** True if there is a row of this content. */
  has(user: number, digest: Uint8Array): boolean {
    return this.find(user, digest) !== undefined;
  }

  /** Returns the contents of a user that have some of these features. */
  compare(user: number, features: Uint8Array, digest: Uint8Array | undefined): Similar {
    const shared = this.sharing(user, features);
    let most = 0;
    for (const count of shared.values()) most = Math.max(most, count);
    const near = [...shared]
      .filter(([, count]) => count >= Math.max(LEAST_SHARED, NEAR * most))
      .map(([start]) => start)
      .sort((one, other) => other - one)
      .map((start) => Buffer.from(this.bytes.subarray(start, start + DIGEST_BYTES)));
    const known = digest && this.find(user, digest);
    return { near, isSharing: known === undefined ? undefined : shared.has(known) };
  }

  /**
   * Returns these rows without features that enough newer contents have, and without the oldest rows, so that at most
   * `mostBytes` remain. A row without features shows whose a content is from which a chain of deltas begins again.
   */
  newest(mostBytes: number): Buffer {
    const rows: Buffer[] = [];
    const seen = new Set<string>();
    let bytes = 0;
    for (const start of this.starts.toReversed()) {
      const row = this.bytes.subarray(start, this.endOf(start));
      const content = row.toString('latin1', 0, COUNT_AT);
      const features = this.indexed(start);
      if (seen.has(content)) continue;
      seen.add(content);
      const kept = similarRow(row.subarray(0, DIGEST_BYTES), this.userOf(start), features);
      bytes += kept.length;
      if (bytes > mostBytes) break;
      rows.push(kept);
    }
    return Buffer.concat(rows.reverse());
  }

  /** Returns how many of these features each content of a user has, by the places of the rows. */
  private sharing(user: number, features: Uint8Array): Map<number, number> {
    const wanted = bufferOf(features);
    const values = new Set<number>();
    const shared = new Map<number, number>();
    for (let at = 0; at < wanted.length; at += FEATURE_BYTES) {
      const value = wanted.readUIntLE(at, FEATURE_BYTES);
      if (values.has(value)) continue;
      values.add(value);
      for (const place of this.equal(wanted, at)) {
        const start = this.rowOf(place);
        if (this.userOf(start) === user) shared.set(start, (shared.get(start) ?? 0) + 1);
      }
    }
    return shared;
  }

  private addFeatures(start: number): void {
    const user = this.userOf(start);
    for (let at = start + HEAD_BYTES; at < this.endOf(start); at += FEATURE_BYTES) {
      let others = 0;
      for (const place of this.equal(this.bytes, at)) {
        const row = this.rowOf(place);
        if (this.userOf(row) === user) others += row === start ? MOST_EQUAL : 1;
        if (others >= MOST_EQUAL) break;
      }
      if (others < MOST_EQUAL) this.slots[this.emptySlot(at)] = at + 1;
    }
  }

  /** Returns the features of a row that are in the table. */
  private indexed(start: number): Buffer {
    const features: Buffer[] = [];
    for (let at = start + HEAD_BYTES; at < this.endOf(start); at += FEATURE_BYTES) {
      for (const place of this.equal(this.bytes, at)) {
        if (place === at) features.push(this.bytes.subarray(at, at + FEATURE_BYTES));
      }
    }
    return Buffer.concat(features);
  }

  /** Yields the places in `bytes` of features that are in the table and equal to that at `at` of `source`. */
  private *equal(source: Buffer, at: number): Generator<number, void, undefined> {
    const [low, high] = [source.readUInt32LE(at), source[at + 4]];
    for (let slot = low & this.mask; this.slots[slot] !== 0; slot = (slot + 1) & this.mask) {
      const place = this.slots[slot]! - 1;
      const isEqual = this.bytes.readUInt32LE(place) === low && this.bytes[place + 4] === high;
      if (isEqual) yield place;
    }
  }

  private emptySlot(at: number): number {
    let slot = this.bytes.readUInt32LE(at) & this.mask;
    while (this.slots[slot] !== 0) slot = (slot + 1) & this.mask;
    return slot;
  }

  /** Returns the start of the row that has a place. */
  private rowOf(place: number): number {
    return this.starts[startBefore(this.starts, this.starts.length, place)]!;
  }

  private find(user: number, digest: Uint8Array): number | undefined {
    return this.starts.findLast(
      (start) =>
        this.userOf(start) === user &&
        this.bytes.compare(digest, 0, DIGEST_BYTES, start, start + DIGEST_BYTES) === 0,
    );
  }

  private userOf(start: number): number {
    return this.bytes.readUInt32LE(start + USER_AT);
  }

  private endOf(start: number): number {
    return endOf(this.bytes, start);
  }
}

function endOf(bytes: Buffer, start: number): number {
  return start + HEAD_BYTES + bytes.readUInt32LE(start + COUNT_AT) * FEATURE_BYTES;
}
