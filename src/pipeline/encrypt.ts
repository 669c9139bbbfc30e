/** The encrypt stage for parcels. */
import type { OperatorFunction } from 'rxjs';
import { TardisError } from '../errors/index.js';
import { bufferOf, Scheme } from '../model/index.js';
import { readHeader } from '../store/index.js';
import type { ReadyParcel } from './compress.js';
import type { Context } from './context.js';
import type { OutgoingParcel } from './peer.js';
import { stage } from './stage.js';

/**
 * The encrypt stage. The job that made the records has encrypted them in place, since another job would cost more than
 * the work. This stage counts that work. If the client encrypts, it checks that no record of a parcel is plain.
 */
export function encrypt(context: Context): OperatorFunction<ReadyParcel, ReadyParcel> {
  const { counters, encryption } = context;
  return stage(counters.encrypt, (parcel) => {
    const { outgoing, encryptMs, host } = parcel;
    if (encryption.keys !== undefined && outgoing.records !== undefined) {
      requireEncrypted(outgoing);
      counters.encrypt.count(
        outgoing.recordLengths.length,
        outgoing.records.length,
        encryptMs,
        host,
      );
    }
    return [parcel];
  });
}

/** Throws INTERNAL if any record of the parcel is plain. */
function requireEncrypted({ records, recordLengths }: OutgoingParcel): void {
  const bytes = bufferOf(records!);
  let at = 0;
  for (const length of recordLengths) {
    const scheme = readHeader(bytes, at)?.scheme ?? Scheme.plain;
    if (scheme === Scheme.plain) {
      throw new TardisError('INTERNAL', 'a record of an encrypting client is not encrypted');
    }
    at += length;
  }
}
