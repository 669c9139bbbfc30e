/** Runs a restore job where its records can be read: here, or through a port when they are elsewhere. */
import { MessageChannel } from 'node:worker_threads';
import type { Archive } from '../archive/index.js';
import { type DeltaSource, LEAST_DELTA_BYTES } from '../delta/index.js';
import { TardisError } from '../errors/index.js';
import { forEachRow, RowReader } from '../model/index.js';
import {
  type JobRunner,
  PLACE_NUMBERS,
  RestoreHow,
  type RestoreInput,
  type RestoreOutput,
  serveFarStore,
} from '../workers/index.js';
import { ReadAhead } from './read-ahead.js';

/** Records of files that replace others: a delta may do. */
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

const refuse = (): Promise<never> =>
  Promise.reject(new TardisError('INTERNAL', 'this archive makes no deltas'));
const NO_DELTAS: DeltaSource = { sign: refuse, next: refuse, drop: refuse };

export async function runJobOf(
  archive: Archive,
  jobs: JobRunner,
  job: Omit<RestoreInput, 'source'>,
): Promise<RestoreOutput> {
  const { clientPath } = archive;
  if (clientPath !== undefined) {
    const local = { ...job, source: { path: clientPath } };
    return (await jobs.run('restore', local)).output;
  }
  const { port1, port2 } = new MessageChannel();
  const mayUpdate = archive.deltas() === undefined ? new Set<number>() : updatedRecords(job);
  const reader = new ReadAhead(
    archive.objects(),
    job.records.filter((_record, index) => !mayUpdate.has(index)),
    job.records.filter((_record, index) => mayUpdate.has(index)),
  );
  serveFarStore(port1, reader, archive.deltas() ?? NO_DELTAS);
  try {
    const far = { ...job, source: { port: port2 } };
    return (await jobs.run('restore', far, [port2])).output;
  } finally {
    port1.close();
    reader.close();
  }
}
