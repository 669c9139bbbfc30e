/**
 * Decides which contents are decoded alone. A record of small files has some hundred contents. A file that equals an older
 * one is in the record of that one, of which a walk needs nothing else.
 */

/** Records that are remembered: a walk comes back to one that it is in sooner than that. */
const MAX_RECENT = 64;

export class LoneContents {
  /** By the keys of records of which one content was decoded alone: its offset. */
  private readonly recent = new Map<string, number>();

  /** Returns true, and remembers the content, unless another content of the record was decoded alone a moment ago. */
  take(record: string, offset: number): boolean {
    const known = this.recent.get(record);
    if (known !== undefined && known !== offset) return false;
    this.recent.delete(record);
    this.recent.set(record, offset);
    const [oldest] = this.recent.keys();
    if (this.recent.size > MAX_RECENT) this.recent.delete(oldest!);
    return true;
  }
}
