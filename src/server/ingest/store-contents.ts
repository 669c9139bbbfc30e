/** Stores contents that arrive with a parcel. */
import type { ContentId } from '../../model/index.js';
import { applyContentRecord } from '../../store/catalog/index.js';
import { TardisError } from '../../errors/index.js';
import type { StoreWriter } from '../../store/writer/index.js';
import { markOfAccount, parseRecord, readHeader, RecordKind } from '../../store/index.js';

/**
 * Appends a record of contents and adds them to the catalog; `known` gets their ids by digest. With `isOfAccount`,
 * the record is marked as sent by an account of the client. Throws PROTOCOL_VIOLATION.
 */
export function storeContents(
  store: StoreWriter,
  bytes: Buffer,
  known: Map<string, ContentId>,
  isOfAccount: boolean,
): void {
  let parsed;
  try {
    parsed = parseRecord(bytes);
  } catch (error) {
    throw new TardisError('PROTOCOL_VIOLATION', 'a record arrived damaged', {}, error);
  }
  const { header, index } = parsed;
  if (header.kind !== RecordKind.frame && header.kind !== RecordKind.content) {
    throw new TardisError('PROTOCOL_VIOLATION', 'a parcel may hold frames and contents only');
  }
  if (header.flags !== 0 || header.sequence !== 0) {
    throw new TardisError('PROTOCOL_VIOLATION', 'a record has flags a client may not set');
  }
  store.space?.take(bytes.length);
  if (isOfAccount) markOfAccount(bytes);
  const location = store.packs.append(bytes);
  const marked = isOfAccount ? readHeader(bytes, 0)! : header;
  applyContentRecord(store.catalog, marked, index, { location, ids: known });
}
