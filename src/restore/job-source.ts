/** Runs a restore job. If the store is remote, the job reads its records through a message port. */
import { MessageChannel } from 'node:worker_threads';
import type { History, ObjectReader } from '../history/index.js';
import { type DeltaSource, LEAST_DELTA_BYTES } from '../delta/index.js';
import { TardisError } from '../errors/index.js';
import { forEachRow, releaseMemory, RowReader } from '../model/index.js';
import {
  type JobRunner,
  PLACE_NUMBERS,
  RestoreHow,
  type RestoreInput,
  type RestoreOutput,
  serveFarStore,
} from '../workers/index.js';
import type { RestoreJob } from './plan.js';
import { ReadAhead, type ReadRange } from './read-ahead.js';

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
    if (places[at] !== 0 && places[at] !== RestoreHow.copied) return false;
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
export function expectJobs(history: History, jobs: readonly RestoreJob[]): void {
  if (history.directory !== undefined) return;
  const records = jobs.flatMap(({ input }) => (needsExactly(input) ? input.records : []));
  history
    .objects()
    .expect?.(records.map(({ recordBytes: bytes, ...place }) => ({ ...place, bytes })));
}

/**
 * Returns the bytes of all records, one after the other; undefined if a record cannot be read. The job then reads the
 * records one by one, and reports the files whose record is faulty.
 */
async function fetched(
  reader: ObjectReader,
  records: readonly ReadRange[],
): Promise<Uint8Array | undefined> {
  const all = Buffer.allocUnsafeSlow(records.reduce((sum, one) => sum + one.recordBytes, 0));
  let end = 0;
  const parts = records.map(({ object, position, recordBytes }) => {
    const part = all.subarray(end, end + recordBytes);
    end += recordBytes;
    return reader.read(object, position, part, recordBytes).then(
      (got) => got === recordBytes,
      () => false,
    );
  });
  return (await Promise.all(parts)).every(Boolean) ? all : undefined;
}

const refuse = (): Promise<never> =>
  Promise.reject(new TardisError('INTERNAL', 'this history makes no deltas'));
const NO_DELTAS: DeltaSource = { sign: refuse, next: refuse, drop: refuse };

export async function runJobOf(
  history: History,
  jobs: JobRunner,
  job: Omit<RestoreInput, 'source'>,
): Promise<RestoreOutput> {
  const { directory } = history;
  if (directory !== undefined) {
    const local = { ...job, source: { directory } };
    return (await jobs.run('restore', local)).output;
  }
  const objects = history.objects();
  const isFetchedFirst =
    job.records.length === 0 || (needsExactly(job) && storedBytes(job) <= MOST_FETCHED_BYTES);
  const stored = isFetchedFirst ? await fetched(objects, job.records) : undefined;
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
  const reader = new ReadAhead(
    objects,
    job.records.filter((_record, index) => !mayUpdate.has(index)),
    job.records.filter((_record, index) => mayUpdate.has(index)),
  );
  serveFarStore(port1, reader, history.deltas() ?? NO_DELTAS);
  try {
    const far = { ...job, source: { port: port2 } };
    return (await jobs.run('restore', far, [port2])).output;
  } finally {
    port1.close();
    reader.close();
  }
}
