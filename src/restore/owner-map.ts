/** Maps the owners of restored entries: by name if the name exists on this machine, otherwise by number. */
import {
  appendRow,
  type BytesBuilder,
  RowOffset,
  RowReader,
  renumberAcls,
} from '../model/index.js';
import { isOwner, type OwnerRecord } from '../store/index.js';
import type { System } from '../system/index.js';

export class OwnerMap {
  private readonly users = new Map<number, number>();
  private readonly groups = new Map<number, number>();

  /** Creates the map. `owners` are the names at the time of the backup; with an empty list, all numbers are kept. */
  constructor(system: System, owners: readonly OwnerRecord[]) {
    const { native } = system;
    for (const { isGroup, id, name } of owners.filter(isOwner)) {
      const local = isGroup ? native.groupId(name) : native.userId(name);
      if (local !== undefined && local !== id) (isGroup ? this.groups : this.users).set(id, local);
    }
  }

  /** Appends the row to restore, made from the metadata in the catalog. */
  append(into: BytesBuilder, metadata: Buffer, name: Buffer, digest?: Uint8Array): void {
    const at = into.length;
    appendRow(into, metadata, name, digest);
    this.renumber(into.view(), at);
  }

  /** Gives the row at an offset the numbers of this machine. */
  private renumber(rows: Buffer, at: number): void {
    if (this.users.size + this.groups.size === 0) return;
    const reader = new RowReader(rows);
    rows.writeUInt32LE(this.idOf(false, reader.uid(at)), at + RowOffset.uid);
    rows.writeUInt32LE(this.idOf(true, reader.gid(at)), at + RowOffset.gid);
    const attributes = reader.attributes(at);
    if (attributes !== undefined) {
      renumberAcls(attributes, ({ isGroup, id }) => this.idOf(isGroup, id));
    }
  }

  /** Returns the owner of an entry on this machine. */
  of({ uid, gid }: { readonly uid: number; readonly gid: number }): { uid: number; gid: number } {
    return { uid: this.idOf(false, uid), gid: this.idOf(true, gid) };
  }

  private idOf(isGroup: boolean, id: number): number {
    return (isGroup ? this.groups : this.users).get(id) ?? id;
  }
}
