/** Maps the owners of restored entries: by name if the name exists on this machine, otherwise by number. */
import { joinRow, RowOffset, RowReader, renumberAcls } from '../model/index.js';
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

  /** Returns the row to restore, made from the metadata in the catalog. */
  readonly row = (metadata: Buffer, name: Buffer, digest: Uint8Array | undefined): Buffer => {
    const row = joinRow(metadata, name, digest);
    if (this.users.size + this.groups.size === 0) return row;
    const rows = new RowReader(row);
    row.writeUInt32LE(this.idOf(false, rows.uid(0)), RowOffset.uid);
    row.writeUInt32LE(this.idOf(true, rows.gid(0)), RowOffset.gid);
    const attributes = rows.attributes(0);
    if (attributes !== undefined) {
      renumberAcls(attributes, ({ isGroup, id }) => this.idOf(isGroup, id));
    }
    return row;
  };

  /** Returns the owner of an entry on this machine. */
  of({ uid, gid }: { readonly uid: number; readonly gid: number }): { uid: number; gid: number } {
    return { uid: this.idOf(false, uid), gid: this.idOf(true, gid) };
  }

  private idOf(isGroup: boolean, id: number): number {
    return (isGroup ? this.groups : this.users).get(id) ?? id;
  }
}
