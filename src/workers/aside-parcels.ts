/**
 * Runs the jobs of a backup's parcels aside: one call of the addon reads and hashes the files, one makes the records. The
 * part of a parcel from an entry on that needs a decision is left to another runner.
 */
import type { ContentKeys } from '../model/index.js';
import { areOwn, type System } from '../system/index.js';
import { AsideJobs, type Transfer } from './aside-jobs.js';
import { BUILT_BY, type BuiltRecords, buildRecords, canBuild } from './aside-records.js';
import { releaseMoved } from './block-builder.js';
import type {
  CompressInput,
  CompressOutput,
  ContentBlock,
  FrameOptions,
  HashInput,
  HashOutput,
  JobInput,
  JobName,
  JobRunner,
  TimedOutput,
} from './jobs.js';
import { joined, restOf } from './parcel-parts.js';
import { ParcelMemory, type ParcelPlace, ParcelReading } from './parcel-reading.js';
import { RecordMemory } from './record-memory.js';

/** The calls that `readParcelAside` stands for. */
const READ_BY = [
  'readFiles',
  'readFileAt',
  'keyDigests',
  'openListed',
  'attributesAt',
  'reportsSizes',
] as const;

/**
 * Maximum number of parcels that are left to the other runner after one of which the addon could read less than half. Where
 * all files have attributes, the call for a parcel would be in vain.
 */
const MOST_LEFT = 64;

export class AsideParcels extends AsideJobs {
  protected readonly doing = 'a parcel';
  protected readonly whole = 'the backup';
  private readonly isOwn: boolean;
  /** Memory of parcels whose contents did not leave their job, and of records. Each turn has at most one of each. */
  private readonly scratch: ParcelMemory[] = [];
  private readonly recordScratch: RecordMemory[] = [];
  /** Number of parcels to be left to the other runner before the next call. */
  private left = 0;
  private nextLeft = 1;

  constructor(system: System, threads: number, others: JobRunner) {
    super(system, threads, others);
    this.isOwn = areOwn(system.native, [...READ_BY, ...BUILT_BY, 'readParcelAside', 'buildAside']);
  }

  protected override release(): void {
    for (const memory of this.scratch.splice(0)) memory.release();
    for (const memory of this.recordScratch.splice(0)) memory.release();
  }

  protected workOf<N extends JobName>(
    name: N,
    input: JobInput<N>,
    transfer: Transfer,
  ): (() => Promise<TimedOutput<JobName>>) | undefined {
    if (!this.isOwn) return undefined;
    if (name === 'hash') {
      const job = input as HashInput;
      const isFit =
        job.crypt === undefined && (job.frames === undefined || canBuild(job.frames, job.keys));
      if (!isFit || this.isLeft()) return undefined;
      return () => this.hashed(job, transfer);
    }
    if (name !== 'compress') return undefined;
    const job = input as CompressInput;
    if (!canBuild(job.frames, job.keys) || job.contents.schemes.some(Boolean)) return undefined;
    return () => this.compressed(job, transfer);
  }

  private isLeft(): boolean {
    if (this.left === 0) return false;
    this.left -= 1;
    return true;
  }

  private async hashed(input: HashInput, transfer: Transfer): Promise<TimedOutput<'hash'>> {
    const isKept = input.frames !== undefined;
    const memory = ParcelMemory.for(input.parcel, isKept ? this.scratch.pop() : undefined);
    const reading = new ParcelReading(input, memory);
    await reading.run(this.system, this.recent, isKept);
    this.noteShare(input, reading);
    if (!isKept) return this.contentsOf(input, reading, transfer);
    const made = await this.recordsOf(input, reading);
    this.scratch.push(memory);
    return this.withRest(input, made, reading.next, transfer);
  }

  /** Leaves the next parcels to the other runner if the addon could read little of this one. */
  private noteShare({ parcel }: HashInput, { next }: ParcelReading): void {
    const isMost = next === undefined || next.at >= parcel.rows.length / 2;
    this.nextLeft = isMost ? 1 : Math.min(2 * this.nextLeft, MOST_LEFT);
    this.left = this.nextLeft - 1;
  }

  private async recordsOf(
    { frames, keys }: HashInput,
    reading: ParcelReading,
  ): Promise<TimedOutput<'hash'>> {
    const made = await this.built(reading.block, undefined, frames!, keys);
    const busyMs = reading.busyMs + made.compressMs + made.encryptMs;
    return { output: { ...reading.output, ...made }, busyMs };
  }

  /** Returns the contents, for the query to the server. */
  private async contentsOf(
    input: HashInput,
    reading: ParcelReading,
    transfer: Transfer,
  ): Promise<TimedOutput<'hash'>> {
    const { block: contents, busyMs, next } = reading;
    const none = { records: undefined, recordLengths: [], compressMs: 0, encryptMs: 0 };
    const output: HashOutput = { ...reading.output, ...none, contents };
    return this.withRest(input, { output, busyMs }, next, transfer);
  }

  /** Returns what was made of a parcel, with what the other runner makes of the part from `next` on. */
  private async withRest(
    input: HashInput,
    { output, busyMs }: TimedOutput<'hash'>,
    next: ParcelPlace | undefined,
    transfer: Transfer,
  ): Promise<TimedOutput<'hash'>> {
    if (next === undefined) {
      releaseMoved(transfer);
      return { output, busyMs };
    }
    const rest = await this.others.run('hash', restOf(input, next));
    const both = joined(output, rest.output);
    releaseMoved(transfer);
    return { output: both, busyMs: busyMs + rest.busyMs };
  }

  private async compressed(
    { contents, wanted, frames, keys }: CompressInput,
    transfer: Transfer,
  ): Promise<TimedOutput<'compress'>> {
    const made = await this.built(contents, wanted, frames, keys);
    const { records, recordLengths, compressMs, encryptMs } = made;
    releaseMoved(transfer);
    const output: CompressOutput = { records, recordLengths, encryptMs };
    return { output, busyMs: compressMs + encryptMs };
  }

  private async built(
    contents: ContentBlock,
    wanted: Uint8Array | undefined,
    options: FrameOptions,
    keys: ContentKeys | undefined,
  ): Promise<BuiltRecords> {
    const memory = this.recordScratch.pop() ?? new RecordMemory();
    try {
      const { native } = this.system;
      return await buildRecords(native, contents, wanted, { options, memory, keys });
    } finally {
      this.recordScratch.push(memory);
    }
  }
}
