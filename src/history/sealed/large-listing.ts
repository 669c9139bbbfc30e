/** A proven listing of a directory that has more entries than one page, as packed pages that the addon opened. */
import { endOfEntry, firstEntry, nameAt, packedHead } from '../../store/catalog/index.js';
import { NO_BYTES } from '../../model/index.js';

/** A position before an entry: the index of a part, and an offset in that part. */
interface Position {
  readonly part: number;
  readonly at: number;
}

export class LargeListing {
  /** The name that the last page ended with, and the position after it. */
  private last = NO_BYTES;
  private next: Position;

  /** `parts`: packed pages in their order; those of an unsorted listing are in the order of the sealed names. */
  constructor(
    /** The place of the directory for which the listing was proven. */
    readonly place: Buffer,
    private readonly parts: readonly Buffer[],
    readonly isSorted: boolean,
  ) {
    this.next = this.begin(0);
  }

  /** True if the last page reached the end of the listing. */
  get isAtEnd(): boolean {
    return this.next.part >= this.parts.length;
  }

  /**
   * Returns a packed page of at most `limit` entries after a name, or from the first entry if the name is empty. Returns
   * undefined if an unsorted listing does not have the name.
   */
  page(after: Buffer, limit: number): Buffer | undefined {
    let position = this.last.equals(after) ? this.next : this.after(after);
    if (position === undefined) return undefined;
    let count = 0;
    let last = after;
    const pieces: Buffer[] = [];
    while (position.part < this.parts.length && count < limit) {
      const part: Buffer = this.parts[position.part]!;
      let { at } = position;
      for (; at < part.length && count < limit; count += 1) {
        last = nameAt(part, at);
        at = endOfEntry(part, at);
      }
      pieces.push(part.subarray(position.at, at));
      position = this.positionAt(position.part, at);
    }
    this.last = last;
    this.next = position;
    return Buffer.concat([packedHead(count, this.isSorted), ...pieces]);
  }

  /** Returns the position of the first entry of a part. Parts without entries are passed over. */
  private begin(part: number): Position {
    for (let index = part; index < this.parts.length; index += 1) {
      const at = firstEntry(this.parts[index]!);
      if (at < this.parts[index]!.length) return { part: index, at };
    }
    return { part: this.parts.length, at: 0 };
  }

  /** Returns the position of the entry at an offset of a part, which may be its end. */
  private positionAt(part: number, at: number): Position {
    return at < this.parts[part]!.length ? { part, at } : this.begin(part + 1);
  }

  /** Returns the position after a name; undefined if an unsorted listing does not have the name. */
  private after(name: Buffer): Position | undefined {
    if (name.length === 0) return this.begin(0);
    let position = this.begin(0);
    while (position.part < this.parts.length) {
      const page = this.parts[position.part]!;
      const order = Buffer.compare(nameAt(page, position.at), name);
      if (this.isSorted && order > 0) return position;
      position = this.positionAt(position.part, endOfEntry(page, position.at));
      if (order === 0) return position;
    }
    return this.isSorted ? position : undefined;
  }
}
