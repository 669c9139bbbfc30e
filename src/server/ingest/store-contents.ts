/** Stores contents that arrive with a parcel. */
import { applyContentRecord, applyNewFrame } from '../../store/catalog/index.js';
import { TardisError } from '../../errors/index.js';
import type { ParcelContents } from './parcel-contents.js';
import type { StoreWriter } from '../../store/writer/index.js';
import { markOfAccount, parseRecord, readHeader, RecordKind } from '../../store/index.js';

/**
 * Appends a record of contents and adds them to the catalog and, with their ids, to `contents`. Unless the session is
 * of the client itself (`isOfClient`), the record is marked as sent by an account. Throws PROTOCOL_VIOLATION.
 */
export function storeContents(
  store: StoreWriter,
  bytes: Buffer,
  contents: ParcelContents,
  isOfClient: boolean,
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
  if (!isOfClient) markOfAccount(bytes);
  const location = store.packs.append(bytes);
  const marked = isOfClient ? header : readHeader(bytes, 0)!;
  if (header.kind === RecordKind.frame) {
    const firstId = applyNewFrame(store.catalog, marked, index, location);
    if (firstId !== undefined) return contents.addFrame(index, firstId);
  }
  applyContentRecord(store.catalog, marked, index, { location, ids: contents.single });
}
