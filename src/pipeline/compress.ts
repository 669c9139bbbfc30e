/** The compress stage for parcels. */
import type { OperatorFunction } from 'rxjs';
import { memoryOf, memoryOfContents } from '../workers/index.js';
import { askWhatIsWanted } from './ask.js';
import type { Context } from './context.js';
import type { Encryption } from './encrypt.js';
import type { HashedParcel } from './hash.js';
import type { Parcel } from './parcel.js';
import type { OutgoingParcel } from './peer.js';
import { stage } from './stage.js';

export interface ReadyParcel extends Pick<Parcel, 'heldBytes' | 'slots'> {
  readonly outgoing: OutgoingParcel;
  /** Number of contents in the parcel. */
  readonly contents: number;
}

/** Records of a parcel without contents. */
export const NO_RECORDS = { records: undefined, recordLengths: [] };

/**
 * The compress stage, with encrypt in the same job: queries which contents the server needs, and makes their records.
 * It works on `compressConcurrency` parcels at once; those that wait hold bytes of the budget. A parcel that left the
 * hash stage with records passes.
 */
export function compress(
  context: Context,
  encryption: Encryption,
): OperatorFunction<HashedParcel, ReadyParcel> {
  return stage(context.counters.compress, (hashed) => compressParcel(context, encryption, hashed));
}

async function compressParcel(
  context: Context,
  encryption: Encryption,
  { output, heldBytes, slots }: HashedParcel,
): Promise<ReadyParcel> {
  const { jobs, peer, progress, spare } = context;
  const { rows, rowEnds, contents } = output;
  const outgoing = { slots: output.slots, rows, rowEnds };
  const held = { heldBytes, slots };
  if (contents === undefined) {
    const { records, recordLengths } = output;
    const count = output.files - output.repeats;
    return { outgoing: { ...outgoing, records, recordLengths }, contents: count, ...held };
  }
  const { wanted, count } = await askWhatIsWanted(peer, jobs.recent, contents);
  progress.filesHad += contents.starts.length - count;
  if (count === 0) return { outgoing: { ...outgoing, ...NO_RECORDS }, contents: 0, ...held };
  const startMs = performance.now();
  const rawBytes = contents.sizes.reduce((sum, size, index) => sum + wanted[index]! * size, 0);
  const transfer = [...memoryOfContents(contents), ...memoryOf(wanted)];
  const memory = spare.take();
  if (memory !== undefined) transfer.push(...memoryOf(memory));
  const frames = context.effort.framesFor(rawBytes);
  const job = { contents, wanted, frames, memory, keys: encryption.keys };
  const { output: made, busyMs } = await jobs.run('compress', job, transfer);
  context.counters.compress.count(count, rawBytes, busyMs, performance.now() - startMs);
  return { outgoing: { ...outgoing, ...made }, contents: count, ...held };
}
