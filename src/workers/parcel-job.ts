/**
 * The jobs of a parcel: one call of the addon reads and hashes its files, one makes the records of their contents. A first
 * backup does not query the server, so the same job does both.
 */
import { cryptFilter } from '../excludes/index.js';
import {
  digestKeyOf,
  forEachRow,
  identityIn,
  NO_BYTES,
  RowReader,
  wasClosed,
} from '../model/index.js';
import { GatherCursor, UNDECIDED_NUMBERS } from '../system/index.js';
import { bytesOf, transferOf, transferOfContents, runOf } from './block-builder.js';
import { buildRecords } from './build-records.js';
import { EntryReading } from './entry-reading.js';
import { accessOf } from './record-plan.js';
import { markUnsettled, nowNs, racyFromNs } from './inspect.js';
import type { JobContext } from './job-context.js';
import type {
  BuildInput,
  BuildOutput,
  ContentBlock,
  ReadInput,
  ReadOutput,
  JobResult,
} from './jobs.js';
import { OwnerNames } from './owner-names.js';
import { closeRow } from './read-attributes.js';
import { ParcelMemory } from './parcel-memory.js';
import { rawEndings } from './raw-types.js';

const NO_RECORDS = { records: undefined, recordLengths: [], buildMs: 0 };

/** Reads the files of a parcel. With `frames`, makes the records of their contents, too. */
export async function readJob(
  input: ReadInput,
  context: JobContext,
): Promise<JobResult<ReadOutput>> {
  const { parcel, frames: options, keys } = input;
  if (options === undefined) {
    const reading = new ParcelReading(input, ParcelMemory.for(parcel, undefined), context);
    await reading.run();
    const { block: contents, busyMs } = reading;
    const output = { ...reading.output, ...NO_RECORDS, contents };
    return { output, transfer: [...rowsOf(output), ...transferOfContents(contents)], busyMs };
  }
  return context.memory.withParcel(parcel, async (memory) => {
    const reading = new ParcelReading(input, memory, context);
    await reading.run();
    const made = await buildRecords(context, reading.block, undefined, { options, keys });
    const output = { ...reading.output, ...made, contents: undefined };
    const busyMs = reading.busyMs + made.buildMs;
    return { output, transfer: [...rowsOf(output), ...transferOf(made.records)], busyMs };
  });
}

function rowsOf({ rows, slots, rowEnds }: ReadOutput): ArrayBuffer[] {
  return transferOf(rows, slots, rowEnds);
}

/** Makes records of the contents that the server needs. */
export async function buildJob(
  { contents, wanted, frames: options, keys }: BuildInput,
  context: JobContext,
): Promise<JobResult<BuildOutput>> {
  const made = await buildRecords(context, contents, wanted, { options, keys });
  const { buildMs: busyMs, ...output } = made;
  return { output, transfer: transferOf(output.records), busyMs };
}

/** Reads one parcel. */
class ParcelReading {
  /** Time that this thread and the addon worked. */
  busyMs = 0;
  private readonly cursor = new Float64Array(GatherCursor.numbers);
  private readonly outEnds: Uint32Array;
  private readonly owners: OwnerNames;
  /** Reads the entries that need a decision; undefined if there are none. */
  private entries: EntryReading | undefined;
  private rows!: Uint8Array;

  constructor(
    private readonly input: ReadInput,
    private readonly memory: ParcelMemory,
    private readonly context: JobContext,
  ) {
    this.owners = new OwnerNames(context.system);
    this.outEnds = new Uint32Array(input.parcel.rowEnds.length);
  }

  /** Reads all files. Call it once. */
  async run(): Promise<void> {
    const { cursor, memory } = this;
    const { system } = this.context;
    const startNs = nowNs(system);
    await this.readFiles();
    memory.places.count = cursor[GatherCursor.contents]!;
    const startMs = performance.now();
    const racyNs = racyFromNs(system, startNs);
    // A float is less exact than a nanosecond. The rows are compared again.
    const isRacy =
      cursor[GatherCursor.files]! > 0 && cursor[GatherCursor.lastChange]! >= Number(racyNs) - 1024;
    if (isRacy) markUnsettled(memory.out.subarray(0, cursor[GatherCursor.outOffset]), racyNs);
    if (cursor[GatherCursor.attributed]! > 0) this.meetAcls();
    if (cursor[GatherCursor.undecided]! > 0) this.decide(cursor[GatherCursor.undecided]!);
    this.rows =
      this.entries?.out.take() ??
      Uint8Array.prototype.slice.call(this.memory.out, 0, cursor[GatherCursor.outOffset]);
    this.closeRows();
    this.busyMs = cursor[GatherCursor.busyMs]! + performance.now() - startMs;
  }

  private readFiles(): Promise<void> | void {
    const { cursor, input, outEnds } = this;
    const { contents, digests, out, places, undecided } = this.memory;
    const { system, recent, others } = this.context;
    const { parcel, keys, rawRules, frames } = input;
    cursor[GatherCursor.rawBelowBytes] = rawRules?.belowBytes ?? 0;
    cursor[GatherCursor.isKept] = frames === undefined ? 0 : 1;
    return system.native.readParcel(
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
      bytesOf(undecided),
      others !== undefined,
    );
  }

  /** Adds the owners that are named by ACLs of the rows that the addon has made. */
  private meetAcls(): void {
    const rows = new RowReader(this.memory.out.subarray(0, this.cursor[GatherCursor.outOffset]));
    forEachRow(rows, (at) => this.owners.meetAcls(rows.attributes(at) ?? NO_BYTES));
  }

  /** Reads the entries that need a decision, and puts their rows between those that the addon has made. */
  private decide(count: number): void {
    const { input, memory, cursor, outEnds } = this;
    const { out, undecided } = memory;
    const contentAt = cursor[GatherCursor.contentOffset]!;
    const entries = new EntryReading(input, memory, this.context, {
      contentAt,
      owners: this.owners,
    });
    let [next, copied] = [0, 0];
    const isIn = (section: number): boolean =>
      next < count && undecided[next * UNDECIDED_NUMBERS] === section;
    for (let section = 0; section < outEnds.length; section += 1) {
      if (isIn(section)) {
        entries.enter(section);
        try {
          for (; isIn(section); next += 1) {
            const [, at, outAt] = undecided.subarray(next * UNDECIDED_NUMBERS) as unknown as [
              number,
              number,
              number,
            ];
            entries.out.append(out.subarray(copied, outAt));
            copied = outAt;
            entries.add(at);
          }
        } finally {
          entries.leave();
        }
      }
      entries.out.append(out.subarray(copied, outEnds[section]));
      copied = outEnds[section]!;
      outEnds[section] = entries.out.length;
    }
    this.entries = entries;
  }

  /** Closes the rows of directories that were closed before their entries were read. */
  private closeRows(): void {
    const { identities } = this.input.parcel;
    for (const [section, end] of this.outEnds.entries()) {
      if (!wasClosed(identityIn(identities, section))) continue;
      const rows = new RowReader(this.rows.subarray(this.outEnds[section - 1] ?? 0, end));
      forEachRow(rows, (at) => closeRow(rows, at));
    }
  }

  /** The contents that were read. Those that a recent parcel sent are not among them. */
  get block(): ContentBlock {
    const { contents, digests, places } = this.memory;
    const { parcel, keys } = this.input;
    return {
      bytes: contents,
      digests,
      starts: places.starts.slice(0, places.count),
      sizes: places.sizes.slice(0, places.count),
      isRaw: places.isRaw.slice(0, places.count),
      kinds: places.kinds.slice(0, places.count),
      schemes: this.schemes(),
      access: accessOf(new RowReader(parcel.rows), places.encrypted(keys)),
    };
  }

  /** Returns the scheme of each content that the user has chosen; 0 for the usual one. */
  private schemes(): Uint8Array {
    const { parcel, keys, crypt } = this.input;
    const { places } = this.memory;
    const schemes = new Uint8Array(places.count);
    const filter = keys && cryptFilter(crypt);
    if (filter === undefined) return schemes;
    const rows = new RowReader(parcel.rows);
    let section = 0;
    for (let index = 0; index < places.count; index += 1) {
      const at = places.rowOffsets[index]!;
      // The contents of the entries that needed a decision come last, again in the order of the directories.
      if (index > 0 && at < places.rowOffsets[index - 1]!) section = 0;
      while (at >= parcel.rowEnds[section]!) section += 1;
      const path = runOf(parcel.paths, parcel.pathEnds, section);
      schemes[index] = filter.scheme(path, rows.name(at)) ?? 0;
    }
    return schemes;
  }

  /** The output of the job, without contents and records. */
  get output(): Omit<ReadOutput, keyof typeof NO_RECORDS | 'contents'> {
    const { cursor, entries, outEnds, rows } = this;
    return {
      slots: this.input.parcel.slots.slice(),
      rows,
      rowEnds: outEnds,
      failures: entries?.failures ?? [],
      owners: this.owners.take(),
      grown: entries?.grown ?? [],
      readBytes: cursor[GatherCursor.readBytes]! + (entries?.readBytes ?? 0),
      holeBytes: entries?.holeBytes ?? 0,
      files: cursor[GatherCursor.files]! + (entries?.files ?? 0),
      repeats: cursor[GatherCursor.repeats]! + (entries?.repeats ?? 0),
    };
  }
}
