/** Digests of the contents of a decoded record. */
import { bufferOf, DIGEST_BYTES, firstIndex } from '../model/index.js';
import type { ContentPlace } from './stored-piece.js';

const OFFSET_AT = DIGEST_BYTES;
const SIZE_AT = DIGEST_BYTES + 4;
const DIGEST_ROW_BYTES = DIGEST_BYTES + 8;

/** The rows of `DecodeOutput.digests`, with a mark for each content that was read to its end. */
export class DecodedDigests {
  private readonly rows: Buffer;
  private readonly isRead: Uint8Array;
  private unread: number;

  constructor(rows: Uint8Array) {
    this.rows = bufferOf(rows);
    this.unread = Math.floor(rows.length / DIGEST_ROW_BYTES);
    this.isRead = new Uint8Array(this.unread);
  }

  /** True if the content at a place has this digest. */
  has(place: ContentPlace, digest: Uint8Array): boolean {
    const at = this.find(place) * DIGEST_ROW_BYTES;
    return at >= 0 && this.rows.compare(digest, 0, digest.length, at, at + DIGEST_BYTES) === 0;
  }

  /** Records that a content was read to its end. Returns true if it was the last unread content. */
  noteRead(place: ContentPlace): boolean {
    const row = this.find(place);
    if (row < 0 || this.isRead[row] === 1) return false;
    this.isRead[row] = 1;
    this.unread -= 1;
    return this.unread === 0;
  }

  /** Returns the number of the row of a content; -1 if there is none. Rows are sorted by their offsets. */
  find({ offset, sizeBytes }: ContentPlace): number {
    const count = this.isRead.length;
    let row = firstIndex(count, (index) => this.offsetOf(index) >= offset);
    // An empty content has the offset of the one behind it.
    for (; row < count && this.offsetOf(row) === offset; row += 1) {
      if (this.rows.readUInt32LE(row * DIGEST_ROW_BYTES + SIZE_AT) === sizeBytes) return row;
    }
    return -1;
  }

  /** Returns the places of all contents, in their order. */
  places(): ContentPlace[] {
    return Array.from(this.isRead, (_, row) => ({
      offset: this.offsetOf(row),
      sizeBytes: this.rows.readUInt32LE(row * DIGEST_ROW_BYTES + SIZE_AT),
    }));
  }

  private offsetOf(row: number): number {
    return this.rows.readUInt32LE(row * DIGEST_ROW_BYTES + OFFSET_AT);
  }
}
