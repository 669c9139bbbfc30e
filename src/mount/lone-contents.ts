/**
 * Decides which contents are decoded alone. A record of small files has some hundred contents. A file that equals an
 * older file is stored in the record of the older file. A walk needs nothing else from that record.
 */
import { BoundedCache } from '../system/index.js';

/**
 * Records that are remembered: a walk comes back to one that it is in sooner than that. With more, contents that lie in the
 * same record by chance have it decoded as a whole.
 */
const MAX_RECENT = 16;

export class LoneContents {
  /** Offset of the content that was decoded alone, by the key of its record. */
  private readonly recent = new BoundedCache<string, number>(MAX_RECENT);

  /**
   * True if this content should be decoded alone: no other content of the record was decoded alone a moment ago. The
   * content is then remembered.
   */
  take(record: string, offset: number): boolean {
    const known = this.recent.peek(record);
    if (known !== undefined && known !== offset) return false;
    this.recent.set(record, offset);
    return true;
  }
}
