/** Runs a restore job. If the store is remote, the job reads its records through a message port. */
import { MessageChannel } from 'node:worker_threads';
import { rangeOf } from '../contents/index.js';
import type { History, KeptReads } from '../history/index.js';
import { type DeltaSource, LEAST_DELTA_BYTES } from '../delta/index.js';
import { TardisError } from '../errors/index.js';
import { forEachRow, releaseMemory, RowReader } from '../model/index.js';
import {
  type JobRunner,
  PLACE_NUMBERS,
  RestoreHow,
  isNewFile,
  type RestoreInput,
  type RestoreOutput,
  serveRemoteStore,
} from '../workers/index.js';
import { readHeader, STREAM_CHUNK_BYTES } from '../store/index.js';
import type { RestoreJob } from './plan.js';
import { ReadAhead } from './read-ahead.js';

/**
 * Returns the numbers of the records of files that replace existing ones, since a delta may suffice for these files.
 */
function updatedRecords({ inParts, places, rows }: Omit<RestoreInput, 'source'>): Set<number> {
  const records = new Set<number>();
  const parts = new Map(inParts.map(({ file, pieces }) => [file, pieces]));
  const reader = new RowReader(rows);
  let file = 0;
  forEachRow(reader, (at) => {
    const [, record, , how] = places.subarray(file * PLACE_NUMBERS);
    const pieces = parts.get(file) ?? [{ record: record!, sizeBytes: reader.sizeBytes(at) }];
    file += 1;
    const bytes = pieces.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    if ((how! & RestoreHow.replace) === 0 || bytes < LEAST_DELTA_BYTES) return;
    for (const piece of pieces) records.add(piece.record);
  });
  return records;
}

/**
 * Maximum number of stored bytes of a job that are fetched before it runs. A job with more bytes reads them piece by
 * piece.
 */
const MOST_FETCHED_BYTES = 4 << 20;

/**
 * True if a job reads all of its records, and each as a whole. False if one of its files may be kept, updated by a
 * delta, or is in parts.
 */
function needsExactly({ places }: RestoreJob['input']): boolean {
  for (let at = 3; at < places.length; at += PLACE_NUMBERS) {
    if (!isNewFile(places[at]! & ~RestoreHow.copied)) return false;
  }
  return true;
}

function storedBytes({ records }: RestoreJob['input']): number {
  return records.reduce((sum, { recordBytes }) => sum + recordBytes, 0);
}

/** True if the records come from a store with slow requests, each of which can fetch many records. */
export function isReadInRanges(history: History): boolean {
  return history.directory === undefined && history.objects().expect !== undefined;
}

/** Announces the records that these jobs need, so that a store with slow requests can fetch them together. */
export function expectJobs(records: KeptReads | undefined, jobs: readonly RestoreJob[]): void {
  const needed = jobs.flatMap(({ input }) => (needsExactly(input) ? input.records : []));
  records?.expect?.(needed.map(rangeOf));
}

/**
 * Returns the bytes of all records, one after the other; undefined if a record cannot be read. The job then reads the
 * records one by one, and reports the files whose record is faulty. A record is kept if the job leaves some of it.
 */
async function fetched(
  reader: KeptReads,
  { records, takenBytes }: Pick<RemoteJob, 'records' | 'takenBytes'>,
): Promise<Uint8Array | undefined> {
  const all = Buffer.allocUnsafeSlow(records.reduce((sum, one) => sum + one.recordBytes, 0));
  let end = 0;
  const parts = records.map((record, index) => {
    const part = all.subarray(end, end + record.recordBytes);
    end += record.recordBytes;
    const leavesSome = (): boolean => rawBytesIn(part) > takenBytes[index]!;
    return reader.readInto(part, record, leavesSome).then(
      (got) => got === record.recordBytes,
      () => false,
    );
  });
  return (await Promise.all(parts)).every(Boolean) ? all : undefined;
}

/** Returns the length of the decoded body of a record; Infinity if it has no valid header. */
function rawBytesIn(record: Buffer): number {
  return readHeader(record, 0)?.rawBytes ?? Infinity;
}

const refuse = (): Promise<never> =>
  Promise.reject(new TardisError('INTERNAL', 'this history makes no deltas'));
const NO_DELTAS: DeltaSource = { sign: refuse, next: refuse, drop: refuse };

/** A job, and the number of bytes that it takes from each record. */
type RemoteJob = Omit<RestoreInput, 'source'> & Pick<RestoreJob, 'takenBytes'>;

/** Runs a job. `records` reads those of a remote store; undefined if the job can read them itself. */
export async function runJobOf(
  history: History,
  records: KeptReads | undefined,
  jobs: JobRunner,
  { takenBytes, ...job }: RemoteJob,
): Promise<RestoreOutput> {
  const { directory } = history;
  if (directory !== undefined) {
    const local = { ...job, source: { directory } };
    return (await jobs.run('restore', local)).output;
  }
  const isFetchedFirst =
    job.records.length === 0 || (needsExactly(job) && storedBytes(job) <= MOST_FETCHED_BYTES);
  const stored = isFetchedFirst
    ? await fetched(records!, { records: job.records, takenBytes })
    : undefined;
  if (stored !== undefined) {
    const near = { ...job, source: { stored } };
    try {
      return (await jobs.run('restore', near, [stored.buffer as ArrayBuffer])).output;
    } finally {
      releaseMemory(stored); // unless it was moved to another thread
    }
  }
  const { port1, port2 } = new MessageChannel();
  const mayUpdate = history.deltas() === undefined ? new Set<number>() : updatedRecords(job);
  // Large records have one content, which the job takes.
  const isOfFrames = job.records.every(({ recordBytes }) => recordBytes <= STREAM_CHUNK_BYTES);
  const source = isOfFrames ? records! : history.objects();
  const sure = job.records.filter((_record, index) => !mayUpdate.has(index));
  if (!needsExactly(job)) source.expect?.(sure.map(rangeOf));
  const perhaps = job.records.filter((_record, index) => mayUpdate.has(index));
  const reader = new ReadAhead(source, sure, perhaps);
  serveRemoteStore(port1, reader, history.deltas() ?? NO_DELTAS);
  try {
    const remote = { ...job, source: { port: port2 } };
    return (await jobs.run('restore', remote, [port2])).output;
  } finally {
    port1.close();
    reader.close();
  }
}
