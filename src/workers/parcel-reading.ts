/**
 * Reads the files of a parcel by one call of the addon, on a thread of libuv's pool. The call ends before the first
 * entry that needs a decision.
 */
import { DIGEST_BYTES, digestKeyOf, releaseAll, RowReader } from '../model/index.js';
import { GatherCursor, type System } from '../system/index.js';
import { bytesOf } from './block-builder.js';
import { ContentPlaces, mostFilesIn } from './content-places.js';
import { markUnsettled, nowNs, racyFromNs } from './inspect.js';
import { accessOf } from './file-access.js';
import type { ContentBlock, HashInput, HashOutput, ParcelInput, RecentDigests } from './jobs.js';
import { rawEndings } from './raw-types.js';

/** A place in a parcel: a directory, and the offset of a row. */
export interface ParcelPlace {
  readonly section: number;
  readonly at: number;
}

/** Step in which the memory for contents grows. */
const STEP_BYTES = 512 << 10;

/** Memory for one parcel at a time. */
export class ParcelMemory {
  readonly contents: Buffer;
  readonly out: Buffer;
  readonly digests: Buffer;
  readonly places: ContentPlaces;
  private readonly rowBytes: number;

  private constructor(contentBytes: number, rowBytes: number) {
    const mostFiles = mostFilesIn(rowBytes);
    this.rowBytes = rowBytes;
    this.contents = Buffer.allocUnsafeSlow(contentBytes);
    this.out = Buffer.allocUnsafeSlow(rowBytes + mostFiles * DIGEST_BYTES);
    this.digests = Buffer.allocUnsafeSlow(mostFiles * DIGEST_BYTES);
    this.places = new ContentPlaces(mostFiles);
  }

  /** Returns memory for a parcel: `known` if it is large enough. */
  static for(parcel: ParcelInput, known: ParcelMemory | undefined): ParcelMemory {
    if (known !== undefined && known.fits(parcel)) {
      known.places.count = 0;
      return known;
    }
    if (known === undefined) return new ParcelMemory(parcel.contentBytes, parcel.rows.length);
    // It grows in large steps, since the system clears each page of new memory at its first use.
    const contentBytes = Math.ceil(parcel.contentBytes / STEP_BYTES) * STEP_BYTES;
    const larger = [
      Math.max(contentBytes, known.contents.length),
      Math.max(parcel.rows.length, known.rowBytes),
    ] as const;
    known.release();
    return new ParcelMemory(...larger);
  }

  /** Frees the memory at once. */
  release(): void {
    const { contents, out, digests, places } = this;
    releaseAll([contents, out, digests, places.bytes]);
  }

  private fits({ contentBytes, rows }: ParcelInput): boolean {
    return contentBytes <= this.contents.length && rows.length <= this.rowBytes;
  }
}

export class ParcelReading {
  private readonly cursor = new Float64Array(GatherCursor.numbers);
  private readonly outEnds: Uint32Array;
  private readonly input: HashInput;
  private readonly memory: ParcelMemory;

  constructor(input: HashInput, memory: ParcelMemory) {
    this.input = input;
    this.memory = memory;
    this.outEnds = new Uint32Array(input.parcel.rowEnds.length);
  }

  /** Reads files. With `isKept`, digests of contents become recent ones. Call it once. */
  async run(system: System, recent: RecentDigests, isKept: boolean): Promise<void> {
    const { cursor, input, outEnds } = this;
    const { contents, digests, out, places } = this.memory;
    const { parcel, keys, rawRules } = input;
    cursor[GatherCursor.rawBelowBytes] = rawRules?.belowBytes ?? 0;
    cursor[GatherCursor.isKept] = isKept ? 1 : 0;
    const startNs = nowNs(system);
    await system.native.readParcelAside(
      parcel.paths,
      parcel.rows,
      contents,
      digests,
      out,
      places.bytes,
      recent.table,
      digestKeyOf(keys),
      rawEndings(rawRules),
      bytesOf(cursor),
      bytesOf(parcel.pathEnds),
      bytesOf(parcel.rowEnds),
      bytesOf(outEnds),
      parcel.identities,
    );
    places.count = cursor[GatherCursor.contents]!;
    const racyNs = racyFromNs(system, startNs);
    // A float is less exact than a nanosecond. The rows are compared again.
    const isRacy = cursor[GatherCursor.files]! > 0 && this.lastChange >= Number(racyNs) - 1024;
    if (isRacy) markUnsettled(out.subarray(0, this.outBytes), racyNs);
  }

  /** The first entry that needs a decision; undefined if the parcel is done. */
  get next(): ParcelPlace | undefined {
    const section = this.cursor[GatherCursor.section]!;
    if (section === this.outEnds.length) return undefined;
    return { section, at: this.cursor[GatherCursor.rowOffset]! };
  }

  /** Time that the thread worked. */
  get busyMs(): number {
    return this.cursor[GatherCursor.busyMs]!;
  }

  /** The contents that were read. Those that a recent parcel sent are not among them. */
  get block(): ContentBlock {
    const { contents, digests, places } = this.memory;
    return {
      bytes: contents,
      digests,
      starts: places.starts.slice(0, places.count),
      sizes: places.sizes.slice(0, places.count),
      isRaw: places.isRaw.slice(0, places.count),
      kinds: places.kinds.slice(0, places.count),
      schemes: new Uint8Array(places.count),
      access: accessOf(new RowReader(this.input.parcel.rows), places.encrypted(this.input.keys)),
    };
  }

  /** The output of the job for what was read, without contents and records. */
  get output(): Omit<HashOutput, 'records' | 'recordLengths' | 'compressMs' | 'encryptMs'> {
    const { cursor, next, outBytes } = this;
    // A directory that was begun has its rows so far. The parcel's other part begins with its next row.
    const done = next?.section ?? this.outEnds.length;
    const ends = [...this.outEnds.subarray(0, done)];
    if (outBytes > (ends.at(-1) ?? 0)) ends.push(outBytes);
    return {
      slots: this.input.parcel.slots.slice(0, ends.length),
      rows: Uint8Array.prototype.slice.call(this.memory.out, 0, outBytes),
      rowEnds: Uint32Array.from(ends),
      failures: [],
      owners: [],
      grown: [],
      contents: undefined,
      readBytes: cursor[GatherCursor.readBytes]!,
      holeBytes: 0,
      files: cursor[GatherCursor.files]!,
      repeats: cursor[GatherCursor.repeats]!,
    };
  }

  private get outBytes(): number {
    return this.cursor[GatherCursor.outOffset]!;
  }

  private get lastChange(): number {
    return this.cursor[GatherCursor.lastChange]!;
  }
}
