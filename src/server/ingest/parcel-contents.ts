/** Contents that a parcel brought, with their ids. */
import { type ContentId, contentIdOf, DIGEST_BYTES, digestKey } from '../../model/index.js';
import { FRAME_ENTRY_BYTES } from '../../store/index.js';

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
