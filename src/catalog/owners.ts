/** Names of users and groups, as they were when a set met them. */
import type { OwnerRecord } from '../store/index.js';
import type { SqlDatabase } from '../system/index.js';

type OwnerColumns = [isGroup: number, id: number, name: Buffer];

export class OwnerTable {
  private readonly statements;

  constructor(database: SqlDatabase) {
    this.statements = {
      latest: database
        .prepare(
          `SELECT name FROM owner_names WHERE is_group = ? AND id = ?
           ORDER BY first_set DESC LIMIT 1`,
        )
        .pluck(),
      put: database.prepare('INSERT OR REPLACE INTO owner_names VALUES (?, ?, ?, ?)'),
      asOf: database
        .prepare(
          `SELECT is_group, id, name FROM owner_names WHERE first_set <= ?
           ORDER BY is_group, id, first_set`,
        )
        .raw(),
    };
  }

  /** Keeps a name from a set on; false where it is the latest already (or none was ever known). */
  put(set: number, { isGroup, id, name }: OwnerRecord): boolean {
    const kind = isGroup ? 1 : 0;
    const latest = this.statements.latest.get(kind, id) as Buffer | undefined;
    if (latest === undefined ? name.length === 0 : latest.equals(name)) return false;
    this.statements.put.run(kind, id, set, name);
    return true;
  }

  /** The names as of a set, of all that had one. */
  asOf(set: number): OwnerRecord[] {
    const latest = new Map<string, OwnerRecord>();
    for (const [isGroup, id, name] of this.statements.asOf.all(set) as OwnerColumns[]) {
      latest.set(`${isGroup}/${id}`, { isGroup: isGroup === 1, id, name });
    }
    return [...latest.values()].filter(({ name }) => name.length > 0);
  }
}
