/** Reads many files of a parcel by one call of the addon, until a file needs a decision. */
import { type ContentKeys, digestKeyOf } from '../model/index.js';
import { areOwn, GatherCursor, type NativeCalls, type System } from '../system/index.js';
import type { ContentPlaces } from './content-places.js';
import type { RecentDigests } from './jobs.js';
import { rawEndings, type RawRules } from './raw-types.js';

/** The calls for single files that `readFiles` stands for. */
const REPLACED = ['readFileAt', 'keyDigests'] as const;

/** Maximum number of files that are read alone after a call that could read none. */
const MOST_ALONE = 64;

/** Buffers and settings of a parcel. */
interface ReadTarget {
  readonly rows: Uint8Array;
  readonly contents: Uint8Array;
  readonly digests: Uint8Array;
  readonly places: ContentPlaces;
  readonly keys: ContentKeys | undefined;
  readonly rawRules: RawRules | undefined;
  /** True if new digests become recent ones. */
  readonly isKept: boolean;
}

export class ManyReads {
  private readonly cursor = new Float64Array(GatherCursor.numbers);
  private readonly cursorBytes = new Uint8Array(this.cursor.buffer);
  private readonly native: NativeCalls;
  private readonly recent: Uint8Array;
  private readonly target: ReadTarget;
  private readonly endings: Uint8Array;
  /** Number of files to be read alone before the next call; it grows while calls read none. */
  private alone = 0;
  private nextAlone = 1;

  private constructor(native: NativeCalls, target: ReadTarget, recent: RecentDigests) {
    this.native = native;
    this.target = target;
    this.recent = recent.table;
    this.endings = rawEndings(target.rawRules);
    this.cursor[GatherCursor.rawBelowBytes] = target.rawRules?.belowBytes ?? 0;
    this.cursor[GatherCursor.isKept] = target.isKept ? 1 : 0;
  }

  /** Returns a reader; undefined if a test has replaced a call for single files. */
  static of({ native }: System, target: ReadTarget, recent: RecentDigests): ManyReads | undefined {
    return areOwn(native, REPLACED) ? new ManyReads(native, target, recent) : undefined;
  }

  get files(): number {
    return this.cursor[GatherCursor.files]!;
  }

  get repeats(): number {
    return this.cursor[GatherCursor.repeats]!;
  }

  get readBytes(): number {
    return this.cursor[GatherCursor.readBytes]!;
  }

  /** Offset where the next content belongs. */
  get contentOffset(): number {
    return this.cursor[GatherCursor.contentOffset]!;
  }

  /** Offset behind the last row that was written. */
  get outOffset(): number {
    return this.cursor[GatherCursor.outOffset]!;
  }

  /** True if one of the files changed at `ns` or later, or shortly before. */
  mayHaveChangedSince(ns: bigint): boolean {
    // A float is less exact than a nanosecond. The caller compares again.
    return this.files > 0 && this.cursor[GatherCursor.lastChange]! >= Number(ns) - 1024;
  }

  /**
   * True if the next file should be read alone, since the last calls read no file. Such a call costs opening a file.
   * Counts the files that are read alone.
   */
  isAloneNext(): boolean {
    if (this.alone === 0) return false;
    this.alone -= 1;
    return true;
  }

  /**
   * Reads files of the rows from `from` to `end`. Writes their rows to `out` from `outOffset` on, and their contents from
   * `contentOffset` on. Returns the offset of the first row that needs a decision, or `end`.
   */
  read(
    directory: number,
    { from, end }: { readonly from: number; readonly end: number },
    { out, outOffset }: { readonly out: Uint8Array; readonly outOffset: number },
    contentOffset: number,
  ): number {
    const { cursor, target } = this;
    const { rows, contents, digests, places, keys } = target;
    cursor[GatherCursor.rowOffset] = from;
    cursor[GatherCursor.end] = end;
    cursor[GatherCursor.contentOffset] = contentOffset;
    cursor[GatherCursor.contents] = places.count;
    cursor[GatherCursor.outOffset] = outOffset;
    this.native.readFiles(
      directory,
      rows,
      contents,
      digests,
      out,
      places.bytes,
      this.recent,
      digestKeyOf(keys),
      this.endings,
      this.cursorBytes,
    );
    places.count = cursor[GatherCursor.contents]!;
    this.nextAlone = this.files > 0 ? 1 : Math.min(2 * this.nextAlone, MOST_ALONE);
    this.alone = this.nextAlone - 1;
    return cursor[GatherCursor.rowOffset]!;
  }
}
