/** The build stage for parcels. */
import type { OperatorFunction } from 'rxjs';
import { TardisError } from '../errors/index.js';
import { bufferOf, Scheme } from '../model/index.js';
import { readHeader } from '../store/index.js';
import { transferOf, transferOfContents } from '../workers/index.js';
import type { Context } from './context.js';
import type { NeededParcel } from './need.js';
import type { Parcel } from './parcel.js';
import type { OutgoingParcel } from './peer.js';
import { stage } from './stage.js';

/** A parcel that can be sent. */
export interface BuiltParcel extends Pick<Parcel, 'heldBytes' | 'slots'> {
  readonly outgoing: OutgoingParcel;
  /** Number of contents in the parcel. */
  readonly contents: number;
}

/** Records of a parcel without contents. */
export const NO_RECORDS = { records: undefined, recordLengths: [] };

/**
 * The build stage: makes the records of the contents that the server needs. One job compresses a parcel and encrypts it
 * in place, `buildConcurrency` parcels at once. Waiting parcels hold bytes of the budget. Records that the read stage has
 * made are passed on. If the client encrypts, no record leaves this stage in plain form.
 */
export function build(context: Context): OperatorFunction<NeededParcel, BuiltParcel> {
  return stage(context.counters.build, async ({ output, needed, heldBytes, slots }) => {
    const { rows, rowEnds } = output;
    const made =
      needed === undefined
        ? { ...recordsOf(output), contents: output.files - output.repeats }
        : { ...(await buildNeeded(context, needed)), contents: needed.count };
    const { contents, ...records } = made;
    const outgoing = { slots: output.slots, rows, rowEnds, ...records };
    if (context.encryption.keys !== undefined) requireEncrypted(outgoing);
    return { outgoing, contents, heldBytes, slots };
  });
}

type Records = Pick<OutgoingParcel, 'records' | 'recordLengths'>;

function recordsOf({ records, recordLengths }: Records): Records {
  return { records, recordLengths };
}

/** Makes the records in one job. */
async function buildNeeded(
  { counters, effort, encryption, jobs }: Context,
  { contents, wanted, count }: NonNullable<NeededParcel['needed']>,
): Promise<Records> {
  if (count === 0) return NO_RECORDS;
  const rawBytes = contents.sizes.reduce((sum, size, index) => sum + wanted[index]! * size, 0);
  const transfer = [...transferOfContents(contents), ...transferOf(wanted)];
  const job = { contents, wanted, frames: effort.framesFor(rawBytes), keys: encryption.keys };
  const { output, busyMs } = await jobs.run('build', job, transfer);
  counters.build.count(count, rawBytes, busyMs);
  return recordsOf(output);
}

/** Throws INTERNAL if any record of the parcel is plain. */
function requireEncrypted({ records, recordLengths }: OutgoingParcel): void {
  if (records === undefined) return;
  const bytes = bufferOf(records);
  let at = 0;
  for (const length of recordLengths) {
    const scheme = readHeader(bytes, at)?.scheme ?? Scheme.plain;
    if (scheme === Scheme.plain) {
      throw new TardisError('INTERNAL', 'a record of an encrypting client is not encrypted');
    }
    at += length;
  }
}
