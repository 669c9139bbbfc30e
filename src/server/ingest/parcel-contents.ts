/** Stores the contents that a parcel brought, and lists them with their ids. */
import { protocolViolation } from '../../errors/index.js';
import { type ContentId, contentIdOf, DIGEST_BYTES, digestKey } from '../../model/index.js';
import { applyContentRecord, applyNewFrame } from '../../store/catalog/index.js';
import {
  FRAME_ENTRY_BYTES,
  markOfAccount,
  parseRecord,
  readHeader,
  RecordKind,
} from '../../store/index.js';
import type { StoreWriter } from '../../store/writer/index.js';

/** A frame whose contents have consecutive ids. */
interface NewFrame {
  readonly index: Buffer;
  readonly firstId: ContentId;
}

/** Entries like those of the index of a frame, and the id of each. */
interface ListedContents {
  readonly entries: Buffer;
  readonly ids: Float64Array;
}

export class ParcelContents {
  /** Ids of contents that were added one by one, by digest key. */
  readonly single = new Map<string, ContentId>();
  private readonly frames: NewFrame[] = [];

  /** Adds a frame. Its index must not change as long as this object is used. */
  addFrame(index: Buffer, firstId: ContentId): void {
    this.frames.push({ index, firstId });
  }

  /** Returns all contents as lists. */
  list(): ListedContents {
    const parts = this.frames.map(({ index }) => index);
    if (this.single.size > 0) parts.push(this.listSingle());
    const entries = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    const ids = new Float64Array(entries.length / FRAME_ENTRY_BYTES);
    let at = 0;
    for (const { index, firstId } of this.frames) {
      for (let id: number = firstId; id < firstId + index.length / FRAME_ENTRY_BYTES; id += 1) {
        ids[at] = id;
        at += 1;
      }
    }
    ids.set([...this.single.values()], at);
    return { entries, ids };
  }

  private listSingle(): Buffer {
    const entries = Buffer.alloc(this.single.size * FRAME_ENTRY_BYTES);
    let at = 0;
    for (const key of this.single.keys()) {
      entries.write(key, at, 'latin1');
      at += FRAME_ENTRY_BYTES;
    }
    return entries;
  }

  /** Returns the ids of all contents by digest key. */
  byKey(): Map<string, ContentId> {
    const ids = new Map(this.single);
    for (const { index, firstId } of this.frames) {
      for (let at = 0; at < index.length; at += FRAME_ENTRY_BYTES) {
        const digest = index.subarray(at, at + DIGEST_BYTES);
        ids.set(digestKey(digest), contentIdOf(firstId + at / FRAME_ENTRY_BYTES));
      }
    }
    return ids;
  }
}

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
    throw protocolViolation('a record arrived damaged', {}, error);
  }
  const { header, index } = parsed;
  if (header.kind !== RecordKind.frame && header.kind !== RecordKind.content) {
    throw protocolViolation('a parcel may hold frames and contents only');
  }
  if (header.flags !== 0 || header.sequence !== 0) {
    throw protocolViolation('a record has flags a client may not set');
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
