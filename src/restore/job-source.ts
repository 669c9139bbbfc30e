/** Runs a restore job. If the store is remote, the job reads its records through a message port. */
import { MessageChannel } from 'node:worker_threads';
import type { History } from '../history/index.js';
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

/** Returns the records of files that replace others, since a delta may be enough for these. */
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
  const { port1, port2 } = new MessageChannel();
  const mayUpdate = history.deltas() === undefined ? new Set<number>() : updatedRecords(job);
  const reader = new ReadAhead(
    history.objects(),
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
