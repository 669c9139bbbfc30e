/**
 * Reads objects in few requests for readers that request small pieces. If a piece follows an earlier one, bytes after
 * it are fetched with it, and the fetched ranges grow in a long run. The next range of a long run is fetched before it
 * is requested. Other pieces are fetched almost exactly. If it is known which pieces will be read, neighbouring ones
 * are fetched together, and little else. Fetched bytes are kept for a while, since objects never change. Expected pieces
 * that were fetched and must make room before they are read are given to those who announced them.
 */
import { releaseMemory } from '../../model/index.js';
import type { ExpectedRange } from '../backends/backend.js';
import { ExpectedReads, type JoinedRanges } from './expected-reads.js';

/**
 * Fills `target` with bytes of an object. Returns their number, which is less than `bytes` only at the end of the
 * object.
 */
type FetchRange = (
  name: string,
  position: number,
  target: Uint8Array,
  bytes: number,
) => Promise<number>;

/** Maximum gap between fetched bytes and a piece that counts as following them. */
const MOST_GAP_BYTES: number = 64 << 10;
/** Minimum size of a range that is fetched by a guess. */
const LEAST_RANGE_BYTES: number = 64 << 10;
/** Maximum size of a range that is fetched by a guess, or for expected pieces. */
const MOST_RANGE_BYTES: number = 4 << 20;
/** Maximum number of bytes that are kept. If all of them are still being fetched, nothing is fetched ahead. */
const KEPT_BYTES: number = 16 << 20;

interface Range {
  readonly name: string;
  readonly at: number;
  readonly bytes: number;
  /** The fetched bytes; fewer than `bytes` at the end of the object. */
  readonly data: Promise<Buffer>;
  readonly memory: Buffer;
  /** Expected pieces of the range that were not read yet; undefined if the range was fetched by a guess. */
  unread: JoinedRanges['ranges'] | undefined;
  /** The fetched bytes, once they are here. */
  here: Buffer | undefined;
  /** Number of reads that wait for the range. Its memory is not used again before they end. */
  readers: number;
}

export class JoinedReads {
  /** The ranges that are kept, in the order of their last use. */
  private ranges: Range[] = [];
  /**
   * Memory of a large range that was dropped, for the next one. Other memory is freed at once. Left to V8, it would
   * make it collect all garbage after every few ranges.
   */
  private spare: Buffer | undefined;
  private readonly expected = new ExpectedReads();

  constructor(private readonly fetch: FetchRange) {}

  /** Reads as `fetch` does, and rejects with its errors. */
  async read(name: string, position: number, target: Uint8Array, bytes: number): Promise<number> {
    if (bytes === 0) return this.fetch(name, position, target, bytes);
    // Without room, an expected piece would be fetched without its neighbours.
    while (this.isWithoutRoom(name, position)) await this.someRange();
    const end = position + bytes;
    const needed: Range[] = [];
    // All ranges are begun before the first is waited for, so that calls at once share them.
    for (let at = position; at < end; ) {
      const range = this.use(name, at) ?? this.begin(name, at, end - at);
      range.readers += 1;
      needed.push(range);
      at = range.at + range.bytes;
    }
    try {
      return await this.copyOut(needed, { position, target, end });
    } finally {
      for (const range of needed) range.readers -= 1;
    }
  }

  private async copyOut(
    needed: readonly Range[],
    { position, target, end }: { position: number; target: Uint8Array; end: number },
  ): Promise<number> {
    let done = 0;
    for (const range of needed) {
      const here = await range.data;
      const part = here.subarray(position + done - range.at, end - range.at);
      range.unread = range.unread?.filter((one) => one.position < position || one.end > end);
      target.set(part, done);
      done += part.length;
      if (here.length < range.bytes) break;
      if (range.unread === undefined && range.bytes >= MOST_RANGE_BYTES) this.fetchNext(range);
    }
    return done;
  }

  /** Announces ranges that will be read soon. */
  expect(ranges: readonly ExpectedRange[]): void {
    this.expected.add(ranges);
  }

  /** Drops all fetched and announced ranges. */
  clear(): void {
    this.expected.clear();
    this.ranges = [];
    this.spare = undefined;
  }

  /**
   * Returns the range that contains the byte at a position, and marks it as used last; undefined if there is none.
   */
  private use(name: string, at: number): Range | undefined {
    const index = this.ranges.findLastIndex((range) => range.name === name && covers(range, at));
    if (index < 0) return undefined;
    const [range] = this.ranges.splice(index, 1);
    this.ranges.push(range!);
    return range;
  }

  /** True if an expected piece is not being fetched, and does not fit beside the ranges that are. */
  private isWithoutRoom(name: string, at: number): boolean {
    const isThere = this.ranges.some((range) => range.name === name && covers(range, at));
    return !isThere && this.expected.has(name, at) && !this.makeRoom(MOST_RANGE_BYTES);
  }

  /** Waits until one of the ranges that are being fetched has come or failed. */
  private async someRange(): Promise<void> {
    const coming = this.ranges.filter(({ here }) => here === undefined);
    await Promise.race(coming.map(({ data }) => data.catch(() => undefined))); // its reader gets the error
  }

  /** Begins to fetch the bytes after a range of the largest size, so that a long run need not wait for each range. */
  private fetchNext({ name, at, bytes }: Range): void {
    const next = at + bytes;
    const isBegun = this.ranges.some((range) => range.name === name && covers(range, next));
    if (!isBegun && this.makeRoom(MOST_RANGE_BYTES)) this.begin(name, next, 1);
  }

  private begin(name: string, at: number, bytes: number): Range {
    const most = this.nextAfter(name, at) - at;
    const known = this.takeExpected(name, at, { bytes, most });
    const ahead = known?.bytes ?? Math.min(this.guessAt(name, at), MOST_RANGE_BYTES);
    const wanted = Math.min(most, Math.max(bytes, ahead));
    const size = this.makeRoom(wanted) ? wanted : Math.min(most, bytes);
    const memory = this.allocate(size);
    const data = this.fetch(name, at, memory, size).then((got) => memory.subarray(0, got));
    const unread = known?.ranges.filter((one) => one.position >= at && one.end <= at + size);
    const range: Range = {
      name,
      at,
      bytes: size,
      data,
      memory,
      unread,
      here: undefined,
      readers: 0,
    };
    this.ranges.push(range);
    data.then(
      (here) => {
        range.here = here;
      },
      () => {
        this.ranges = this.ranges.filter((one) => one !== range); // the reader gets the error
      },
    );
    return range;
  }

  /**
   * Returns the expected ranges to fetch at a position, with at most `most` bytes; undefined if none are expected. Returns
   * only the requested bytes if too much is being fetched.
   */
  private takeExpected(
    name: string,
    at: number,
    { bytes, most }: { readonly bytes: number; readonly most: number },
  ): JoinedRanges | undefined {
    if (!this.expected.has(name, at)) return undefined;
    const roomBytes = this.makeRoom(MOST_RANGE_BYTES) ? MOST_RANGE_BYTES : bytes;
    return this.expected.take(name, at, Math.min(roomBytes, most));
  }

  /** Returns the number of bytes to fetch at a position where none are expected. */
  private guessAt(name: string, at: number): number {
    const before = this.ranges.findLast((range) => range.name === name && isJustBefore(range, at));
    return before === undefined ? LEAST_RANGE_BYTES : 2 * before.bytes;
  }

  private allocate(bytes: number): Buffer {
    if (bytes !== MOST_RANGE_BYTES || this.spare === undefined)
      return Buffer.allocUnsafeSlow(bytes);
    const memory = this.spare;
    this.spare = undefined;
    return memory;
  }

  /** Gives away the pieces of a range that were not read, and keeps its memory for the next one, or frees it. */
  private drop({ at, bytes, memory, here, unread = [], readers }: Range): void {
    for (const { position, end, dropped } of unread) {
      if (end - at <= here!.length) dropped?.(here!.subarray(position - at, end - at));
    }
    if (readers > 0) return;
    if (bytes === MOST_RANGE_BYTES && this.spare === undefined) this.spare = memory;
    else releaseMemory(memory);
  }

  /** Returns the position of the next range of an object that is kept; Infinity if there is none. */
  private nextAfter(name: string, at: number): number {
    let next = Infinity;
    for (const range of this.ranges) {
      if (range.name === name && range.at > at) next = Math.min(next, range.at);
    }
    return next;
  }

  /**
   * Drops the ranges that were not used for longest, until `bytes` more fit. Returns false if too much is still being
   * fetched.
   */
  private makeRoom(bytes: number): boolean {
    let kept = this.ranges.reduce((sum, range) => sum + range.bytes, 0);
    this.ranges = this.ranges.filter((range) => {
      if (range.here === undefined || kept + bytes <= KEPT_BYTES) return true;
      kept -= range.bytes;
      this.drop(range);
      return false;
    });
    return kept + bytes <= KEPT_BYTES;
  }
}

function covers({ at, bytes }: Range, position: number): boolean {
  return at <= position && position < at + bytes;
}

function isJustBefore({ at, bytes }: Range, position: number): boolean {
  const gap = position - (at + bytes);
  return gap >= 0 && gap <= MOST_GAP_BYTES;
}
