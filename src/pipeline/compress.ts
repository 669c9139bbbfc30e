/** The compress stage for parcels. */
import type { OperatorFunction } from 'rxjs';
import { memoryOf, memoryOfContents } from '../workers/index.js';
import { requestVerdicts } from './request-verdicts.js';
import type { Context } from './context.js';
import type { HashedParcel } from './hash.js';
import type { Parcel } from './parcel.js';
import type { OutgoingParcel } from './peer.js';
import { stage, type StageCounters } from './stage.js';

export interface ReadyParcel extends Pick<Parcel, 'heldBytes' | 'slots'> {
  readonly outgoing: OutgoingParcel;
  /** Number of contents in the parcel. */
  readonly contents: number;
  /** Time spent encrypting, in the job of `host`. */
  readonly encryptMs: number;
  readonly host: StageCounters;
}

/** Records of a parcel without contents. */
export const NO_RECORDS = { records: undefined, recordLengths: [] };

/**
 * The compress stage, with encrypt in the same job: queries which contents the server needs, and makes their records.
 * It works on `compressConcurrency` parcels at once. Waiting parcels hold bytes of the budget. A parcel that left the
 * hash stage with records is passed on unchanged.
 */
export function compress(context: Context): OperatorFunction<HashedParcel, ReadyParcel> {
  return stage(context.counters.compress, (hashed) => compressParcel(context, hashed));
}

async function compressParcel(
  context: Context,
  { output, heldBytes, slots }: HashedParcel,
): Promise<ReadyParcel> {
  const { counters, encryption, jobs, peer, progress } = context;
  const { rows, rowEnds, contents } = output;
  const outgoing = { slots: output.slots, rows, rowEnds };
  const held = { heldBytes, slots, encryptMs: output.encryptMs, host: counters.hash };
  if (contents === undefined) {
    const { records, recordLengths } = output;
    const count = output.files - output.repeats;
    return { outgoing: { ...outgoing, records, recordLengths }, contents: count, ...held };
  }
  const { wanted, count } = await requestVerdicts(peer, jobs.recent, contents);
  progress.filesHad += contents.starts.length - count;
  if (count === 0) return { outgoing: { ...outgoing, ...NO_RECORDS }, contents: 0, ...held };
  const rawBytes = contents.sizes.reduce((sum, size, index) => sum + wanted[index]! * size, 0);
  const transfer = [...memoryOfContents(contents), ...memoryOf(wanted)];
  const frames = context.effort.framesFor(rawBytes);
  const job = { contents, wanted, frames, keys: encryption.keys };
  const { output: made, busyMs } = await jobs.run('compress', job, transfer);
  const { records, recordLengths, encryptMs } = made;
  counters.compress.count(count, rawBytes, busyMs - encryptMs);
  const here = { ...held, encryptMs, host: counters.compress };
  return { outgoing: { ...outgoing, records, recordLengths }, contents: count, ...here };
}
