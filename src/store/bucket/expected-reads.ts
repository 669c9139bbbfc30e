/** Records which ranges of objects will be read, and joins neighbours. */
import type { ExpectedRange } from '../backends/backend.js';

/**
 * Maximum number of ranges that are recorded. Beyond that, the ranges of the object that was announced longest ago are
 * dropped, and read as if they had not been announced.
 */
const MOST_RANGES = 16_384;

interface Expected {
  position: number;
  end: number;
}

export class ExpectedReads {
  /** The ranges of each object, sorted. */
  private readonly objects = new Map<string, Expected[]>();
  private count = 0;
  private readonly mostGapBytes: number;

  /**
   * Creates an empty record. `mostGapBytes` is the maximum number of bytes between two neighbours that are fetched
   * with them.
   */
  constructor(mostGapBytes: number) {
    this.mostGapBytes = mostGapBytes;
  }

  add(ranges: readonly ExpectedRange[]): void {
    const changed = new Set<Expected[]>();
    for (const { object, position, bytes } of ranges) {
      const own = this.objects.get(object) ?? [];
      this.objects.delete(object); // the object that was named last is at the end
      this.objects.set(object, own);
      own.push({ position, end: position + bytes });
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
   * Returns the number of bytes from `at` on that are worth one request, at most `mostBytes`, and removes them from
   * the ranges. Returns undefined if no range contains the byte at `at`.
   */
  take(object: string, at: number, mostBytes: number): number | undefined {
    const own = this.objects.get(object);
    const first = own?.findIndex((range) => covers(range, at)) ?? -1;
    if (own === undefined || first < 0) return undefined;
    let { end } = own[first]!;
    if (end - at > mostBytes) {
      own[first]!.position = at + mostBytes;
      return mostBytes;
    }
    let next = first + 1;
    for (; next < own.length; next += 1) {
      const { position, end: nextEnd } = own[next]!;
      if (position - end > this.mostGapBytes || nextEnd - at > mostBytes) break;
      end = Math.max(end, nextEnd);
    }
    own.splice(first, next - first);
    this.count -= next - first;
    if (own.length === 0) this.objects.delete(object);
    return end - at;
  }

  clear(): void {
    this.objects.clear();
    this.count = 0;
  }
}

function covers({ position, end }: Expected, at: number): boolean {
  return position <= at && at < end;
}
