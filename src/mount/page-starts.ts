/** The names at which pages of directories begin: each page begins after the last name of the page before. */
import { firstIndex, NO_BYTES } from '../model/index.js';

/** Returns the bytes by which unsorted directories are ordered in place of their names. */
type OrderOf = (name: Buffer) => Buffer;

export class PageStarts {
  /** For each directory with several pages: the names after which its pages begin, from the second page on. */
  private readonly names = new Map<number, Buffer[]>();
  /** Directories that are not sorted by name. */
  private readonly unsorted = new Set<number>();

  /** Returns the name after which a page begins; undefined if the page before was never read. */
  of(directory: number, page: number): Buffer | undefined {
    return page === 0 ? NO_BYTES : this.names.get(directory)?.[page - 1];
  }

  /** Returns the number of the first page whose beginning is unknown. */
  firstUnknown(directory: number): number {
    return (this.names.get(directory)?.length ?? 0) + 1;
  }

  note(directory: number, page: number, name: Buffer): void {
    const names = this.names.get(directory) ?? [];
    this.names.set(directory, names);
    names[page - 1] ??= ownCopy(name);
    if (page > 1 && Buffer.compare(names[page - 2]!, name) >= 0) this.unsorted.add(directory);
  }

  /** Records that the names in a page of a directory are not sorted. */
  noteUnsorted(directory: number): void {
    this.unsorted.add(directory);
  }

  isUnsorted(directory: number): boolean {
    return this.unsorted.has(directory);
  }

  /**
   * Returns the last known page that begins before a name. If the directory is not sorted, `orderOf` has its order;
   * without it, any page may have the name, and the first one is returned.
   */
  pageFor(directory: number, name: Buffer, orderOf: OrderOf | undefined): number {
    const names = this.names.get(directory) ?? [];
    const isUnsorted = this.unsorted.has(directory);
    if (isUnsorted && orderOf === undefined) return 0;
    const keyOf = (one: Buffer): Buffer => (isUnsorted ? orderOf!(one) : one);
    const key = keyOf(name);
    return firstIndex(names.length, (page) => Buffer.compare(keyOf(names[page]!), key) >= 0);
  }

  clear(): void {
    this.names.clear();
    this.unsorted.clear();
  }
}

/** Returns a copy that has its memory for itself. A part of a page, or of a shared block, would keep all of it. */
function ownCopy(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}
