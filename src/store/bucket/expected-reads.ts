/** Records which ranges of objects will be read, and joins neighbours. */
import type { ExpectedRange } from '../backends/backend.js';

/**
 * Maximum number of ranges that are recorded. Beyond that, the ranges of the object that was announced longest ago are
 * dropped, and read as if they had not been announced.
 */
const MOST_RANGES = 16_384;

/**
 * Maximum number of bytes between two neighbours that are fetched with them in any case: a request costs about as much at
 * the prices of providers.
 */
const CHEAP_GAP_BYTES: number = 4 << 10;
/** Longer gaps are fetched while they are at most one part in `NEEDED_PARTS` of the ranges of the request. */
const NEEDED_PARTS = 20;

interface Expected {
  position: number;
  end: number;
  readonly dropped: ExpectedRange['dropped'];
  /** Number of the announcement. Ranges of one announcement are read one after the other. */
  readonly batch: number;
}

/** Ranges that are fetched by one request. */
export interface JoinedRanges {
  /** Number of bytes from the requested position to the end of the last range. */
  readonly bytes: number;
  /** The ranges that are fetched as a whole. */
  readonly ranges: readonly Pick<Expected, 'position' | 'end' | 'dropped'>[];
}

export class ExpectedReads {
  /** The ranges of each object, sorted. */
  private readonly objects = new Map<string, Expected[]>();
  private count = 0;
  private batches = 0;

  /** Announces ranges that are read soon, one after the other, and after those that were announced before. */
  add(ranges: readonly ExpectedRange[]): void {
    this.batches += 1;
    const { batches: batch } = this;
    const changed = new Set<Expected[]>();
    for (const { object, position, bytes, dropped } of ranges) {
      const own = this.objects.get(object) ?? [];
      this.objects.delete(object); // the object that was named last is at the end
      this.objects.set(object, own);
      own.push({ position, end: position + bytes, dropped, batch });
      changed.add(own);
      this.count += 1;
    }
    for (const own of changed) own.sort((one, other) => one.position - other.position);
    for (const [object, own] of this.objects) {
      if (this.count <= MOST_RANGES) break;
      this.count -= own.length;
      this.objects.delete(object);
    }
  }

  /** True if a range contains the byte at `at`. */
  has(object: string, at: number): boolean {
    return this.objects.get(object)?.some((range) => covers(range, at)) === true;
  }

  /**
   * Returns the ranges from `at` on that are worth one request of at most `mostBytes`, and removes them from the ranges.
   * Returns undefined if no range contains the byte at `at`. Ranges of another announcement are not joined: they are read
   * later, and would be fetched again then.
   */
  take(object: string, at: number, mostBytes: number): JoinedRanges | undefined {
    const own = this.objects.get(object);
    const first = own?.find((range) => covers(range, at));
    if (own === undefined || first === undefined) return undefined;
    let { end } = first;
    if (end - at > mostBytes) {
      first.position = at + mostBytes;
      return { bytes: mostBytes, ranges: [] };
    }
    const taken = new Set([first]);
    let neededBytes = end - at;
    for (let next = own.indexOf(first) + 1; next < own.length; next += 1) {
      const range = own[next]!;
      const gapBytes = range.position - end;
      const withNext = neededBytes + range.end - Math.max(range.position, end);
      const otherBytes = range.end - at - withNext;
      if (gapBytes > CHEAP_GAP_BYTES && otherBytes * NEEDED_PARTS > withNext) break;
      if (range.batch !== first.batch) continue;
      if (range.end - at > mostBytes) break;
      end = Math.max(end, range.end);
      neededBytes = Math.max(neededBytes, withNext);
      taken.add(range);
    }
    this.count -= taken.size;
    if (taken.size === own.length) this.objects.delete(object);
    else
      this.objects.set(
        object,
        own.filter((range) => !taken.has(range)),
      );
    return { bytes: end - at, ranges: [...taken] };
  }

  clear(): void {
    this.objects.clear();
    this.count = 0;
  }
}

function covers({ position, end }: Expected, at: number): boolean {
  return position <= at && at < end;
}
