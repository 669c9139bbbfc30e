/**
 * Holds located files until they are restored, grouped by record. A walk meets the files of one record in several places,
 * and decoding a record again costs more than anything else about a small file. So the records with the most bytes leave
 * first: they are the most complete, and a record that few files need waits for others.
 */
import type { LocatedFile } from './plan.js';

/** The files that need one record. */
interface Group {
  readonly files: LocatedFile[];
  bytes: number;
}

export class HeldFiles {
  private readonly groups = new Map<string, Map<number, Group>>();
  private held = 0;
  private last: { readonly object: string; readonly position: number; group: Group } | undefined;

  /** Number of files that are held. */
  get count(): number {
    return this.held;
  }

  add(file: LocatedFile): void {
    const [first] = file.pieces;
    const group = this.groupAt(first?.object ?? '', first?.position ?? 0);
    group.files.push(file);
    for (const { sizeBytes } of file.pieces) group.bytes += sizeBytes;
    this.held += 1;
  }

  /** Removes and returns the files of whole records, until their contents have `bytes` and their number is `count`. */
  take(bytes: number, count: number): LocatedFile[] {
    const taken: LocatedFile[] = [];
    let takenBytes = 0;
    for (const { object, position, group } of this.inOrder()) {
      if (takenBytes >= bytes && taken.length >= count) break;
      for (const file of group.files) taken.push(file);
      takenBytes += group.bytes;
      this.remove(object, position);
    }
    this.held -= taken.length;
    this.last = undefined;
    return taken;
  }

  private inOrder(): { object: string; position: number; group: Group }[] {
    const all = [...this.groups].flatMap(([object, records]) =>
      [...records].map(([position, group]) => ({ object, position, group })),
    );
    return all.sort((one, other) => other.group.bytes - one.group.bytes);
  }

  private groupAt(object: string, position: number): Group {
    // The files of a directory mostly follow one another in a record.
    if (this.last?.position === position && this.last.object === object) return this.last.group;
    let records = this.groups.get(object);
    if (records === undefined) this.groups.set(object, (records = new Map()));
    let group = records.get(position);
    if (group === undefined) records.set(position, (group = { files: [], bytes: 0 }));
    this.last = { object, position, group };
    return group;
  }

  private remove(object: string, position: number): void {
    const records = this.groups.get(object);
    records?.delete(position);
    if (records?.size === 0) this.groups.delete(object);
  }
}
