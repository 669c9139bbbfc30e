/** Names of users and groups, as they were in each set. */
import type { SetNumber } from '../../../model/index.js';
import type { OwnerRecord } from '../../index.js';
import type { SqlDatabase } from '../../../system/index.js';

export class OwnerTable {
  private readonly statements;

  constructor(database: SqlDatabase) {
    this.statements = {
      latest: database.query(
        `SELECT name FROM owner_names WHERE is_group = ? AND id = ?
         ORDER BY first_set DESC LIMIT 1`,
        'blob',
      ),
      put: database.prepare('INSERT OR REPLACE INTO owner_names VALUES (?, ?, ?, ?)'),
      asOf: database.query(
        `SELECT is_group, id, name FROM owner_names WHERE first_set <= ?
         ORDER BY is_group, id, first_set`,
        ['integer', 'integer', 'blob'],
      ),
    };
  }

  /**
   * Stores a name that is valid from a set on. Returns false if it is already the latest name, or if the new name is
   * empty and none was stored before.
   */
  put(set: SetNumber, { isGroup, id, name }: OwnerRecord): boolean {
    const kind = isGroup ? 1 : 0;
    const latest = this.statements.latest.get(kind, id);
    if (latest === undefined ? name.length === 0 : latest.equals(name)) return false;
    this.statements.put.run(kind, id, set, name);
    return true;
  }

  /** Returns the names as of a set; owners without a name are left out. */
  asOf(set: SetNumber): OwnerRecord[] {
    const latest = new Map<string, OwnerRecord>();
    for (const [isGroup, id, name] of this.statements.asOf.all(set)) {
      latest.set(`${isGroup}/${id}`, { isGroup: isGroup === 1, id, name });
    }
    return [...latest.values()].filter(({ name }) => name.length > 0);
  }
}
