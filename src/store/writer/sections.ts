/**
 * Collects changes of directories until they are written as one listing record. Consecutive changes of the same
 * directory share a section.
 */
import {
  BytesBuilder,
  type DirectoryId,
  type RootNumber,
  type SetNumber,
} from '../../model/index.js';
import { buildListing, type ListingSection } from '../index.js';

interface OpenSection {
  readonly set: SetNumber;
  readonly root: RootNumber;
  readonly directory: DirectoryId;
  /** Its rows are the bytes from `from` to `to` of the rows of all sections. */
  readonly from: number;
  to: number;
  readonly children: DirectoryId[];
  readonly removed: Buffer[];
  closed: boolean;
}

/** Number of bytes of rows at which a listing record is written. */
const FLUSH_BYTES = 512 << 10;

export class SectionCollector {
  private sections: OpenSection[] = [];
  private current: OpenSection | undefined;
  private bytes = 0;
  /** The rows of all sections, in one piece of memory that is freed with each record. */
  private readonly allRows = new BytesBuilder(0);

  constructor(private readonly set: SetNumber) {}

  get isFull(): boolean {
    return this.bytes >= FLUSH_BYTES;
  }

  private section(root: RootNumber, directory: DirectoryId): OpenSection {
    if (this.current?.directory !== directory) {
      const { set } = this;
      this.current = {
        set,
        root,
        directory,
        from: this.allRows.length,
        to: this.allRows.length,
        children: [],
        removed: [],
        closed: false,
      };
      this.sections.push(this.current);
    }
    return this.current;
  }

  /** Adds a new or changed entry; the row is copied. `child` is the id of a directory entry. */
  put(root: RootNumber, directory: DirectoryId, row: Buffer, child: DirectoryId | undefined): void {
    const section = this.section(root, directory);
    this.append(section, row);
    if (child !== undefined) section.children.push(child);
  }

  /**
   * Adds new entries of one directory. Returns false, and adds none, if a listing record has to be written before
   * the last of them.
   */
  putAll(
    root: RootNumber,
    directory: DirectoryId,
    rows: Buffer,
    children: readonly DirectoryId[],
  ): boolean {
    if (this.bytes + rows.length >= FLUSH_BYTES) return false;
    const section = this.section(root, directory);
    this.append(section, rows);
    for (const child of children) section.children.push(child);
    return true;
  }

  private append(section: OpenSection, rows: Buffer): void {
    this.allRows.append(rows);
    section.to = this.allRows.length;
    this.bytes += rows.length;
  }

  /** Adds a removed name. The section must have no rows yet, so that the removal precedes them. */
  remove(root: RootNumber, directory: DirectoryId, name: Buffer): void {
    // Removals are applied before rows, so a removal after a row needs another section.
    const { current } = this;
    if (current?.directory === directory && current.to > current.from) this.current = undefined;
    this.section(root, directory).removed.push(Buffer.from(name));
    this.bytes += name.length;
  }

  closeDirectory(root: RootNumber, directory: DirectoryId): void {
    this.current = undefined;
    this.section(root, directory).closed = true;
    this.bytes += 64;
  }

  /** Returns a listing record of all collected changes; undefined if there are none. If it throws, the changes stay. */
  take(nextSequence: () => number): Buffer | undefined {
    if (this.sections.length === 0) return undefined;
    const allRows = this.allRows.view();
    const sections = this.sections.map((section): ListingSection => {
      const { set, root, directory, from, to, children, removed, closed } = section;
      return { set, root, directory, rows: allRows.subarray(from, to), children, removed, closed };
    });
    const record = buildListing(nextSequence(), sections);
    this.allRows.clear();
    this.sections = [];
    this.current = undefined;
    this.bytes = 0;
    return record;
  }
}
