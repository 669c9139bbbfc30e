/**
 * Holds located files until they are restored, grouped by record. The walk meets the files of one record at several
 * places, and decoding a record again costs more than any other work on a small file. So files of the records with the
 * most located bytes are taken first, since those records are the most complete. A record that few files need waits for
 * more files. A record of which most bytes are found need not wait, since its remaining contents are mostly copies that
 * the walk meets much later.
 */
import type { LocatedFile } from './plan.js';

/** Maximum number of located files that wait until other files of their records are located. */
export const MAX_HELD = 16_384;
/** Minimum share of a record's bytes that held files must need for the record to count as found. */
const FOUND_SHARE = 0.75;
/** Maximum number of bytes of a stored record that are not contents: its header and its seals. */
const RECORD_OVERHEAD_BYTES = 256;
/** Maximum number of further bytes of a stored record for each content in it. */
const CONTENT_OVERHEAD_BYTES = 64;

/** The files that need one record. */
interface Group {
  readonly object: string;
  readonly position: number;
  readonly files: LocatedFile[];
  /** Number of bytes of the files. If several files have one content, it is counted for each. */
  bytes: number;
  /** Number of bytes of the record that the files need. Each content is counted once, by its position in `offsets`. */
  foundBytes: number;
  readonly offsets: Set<number>;
  /** Lower bound of the size of the decoded record: the highest end of a found content. */
  endBytes: number;
  storedBytes: number;
}

export class HeldFiles {
  private readonly groups = new Map<string, Map<number, Group>>();
  /** Groups that count as found: their held files need most bytes of the record. */
  private readonly found = new Set<Group>();
  private held = 0;
  private sinceTaken = 0;
  private last: Group | undefined;

  /** Number of files that are held. */
  get count(): number {
    return this.held;
  }

  /** Number of files that were added since files were last removed. */
  get countSinceTaken(): number {
    return this.sinceTaken;
  }

  add(file: LocatedFile): void {
    const [first] = file.pieces;
    const group = this.groupAt(first?.object ?? '', first?.position ?? 0);
    group.files.push(file);
    for (const { sizeBytes } of file.pieces) group.bytes += sizeBytes;
    if (first !== undefined && !group.offsets.has(first.offset)) {
      group.offsets.add(first.offset);
      group.foundBytes += first.sizeBytes;
      group.endBytes = Math.max(group.endBytes, first.offset + first.sizeBytes);
      group.storedBytes = first.recordBytes;
    }
    this.held += 1;
    this.sinceTaken += 1;
    if (isFound(group)) this.found.add(group);
    else this.found.delete(group);
  }

  /**
   * Removes and returns the held files of some records. It takes record after record, those with the most bytes of held
   * files first, until the files have at least `bytes` bytes and their number is at least `count`.
   */
  take(bytes: number, count: number): LocatedFile[] {
    const all = [...this.groups.values()].flatMap((records) => [...records.values()]);
    return this.takeOf(all, bytes, count);
  }

  /**
   * Removes and returns files as `take` does, but only files of records that count as found; none if there is no such
   * record.
   */
  takeFound(bytes: number): LocatedFile[] {
    return this.found.size === 0 ? [] : this.takeOf([...this.found], bytes, 0);
  }

  private takeOf(groups: Group[], bytes: number, count: number): LocatedFile[] {
    const taken: LocatedFile[] = [];
    let takenBytes = 0;
    for (const group of groups.sort((one, other) => other.bytes - one.bytes)) {
      if (takenBytes >= bytes && taken.length >= count) break;
      for (const file of group.files) taken.push(file);
      takenBytes += group.bytes;
      this.remove(group);
    }
    this.held -= taken.length;
    if (taken.length > 0) this.sinceTaken = 0;
    this.last = undefined;
    return taken;
  }

  private groupAt(object: string, position: number): Group {
    // The files of a directory mostly follow one another in a record.
    if (this.last?.position === position && this.last.object === object) return this.last;
    let records = this.groups.get(object);
    if (records === undefined) this.groups.set(object, (records = new Map()));
    let group = records.get(position);
    if (group === undefined) {
      group = newGroup(object, position);
      records.set(position, group);
    }
    this.last = group;
    return group;
  }

  private remove(group: Group): void {
    const records = this.groups.get(group.object);
    records?.delete(group.position);
    if (records?.size === 0) this.groups.delete(group.object);
    this.found.delete(group);
  }
}

function newGroup(object: string, position: number): Group {
  const sizes = { bytes: 0, foundBytes: 0, endBytes: 0, storedBytes: 0 };
  return { object, position, files: [], offsets: new Set(), ...sizes };
}

/**
 * True if most bytes of a record are found. The decoded size of a record is not known before it is decoded. It is at
 * least the end of each content, and seldom less than the stored size.
 */
function isFound({ offsets, foundBytes, endBytes, storedBytes }: Group): boolean {
  const overheadBytes = RECORD_OVERHEAD_BYTES + offsets.size * CONTENT_OVERHEAD_BYTES;
  return foundBytes >= FOUND_SHARE * Math.max(endBytes, storedBytes - overheadBytes);
}
