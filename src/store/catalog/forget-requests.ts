/** Pending requests to forget a path. */
import { type ForgetRequest, isForgetRequest } from '../../model/index.js';
import type { SqlDatabase, SqlStatement } from '../../system/index.js';

export class ForgetRequests {
  private statementsMade: Readonly<Record<'all' | 'put' | 'remove', SqlStatement>> | undefined;
  /** False for a catalog of an older version, which has no such table but can be read as it is. */
  private readonly isThere: boolean;
  private readonly database: SqlDatabase;

  constructor(database: SqlDatabase) {
    this.database = database;
    const find = database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'forget_requests'");
    this.isThere = find.get() !== undefined;
  }

  private get statements() {
    const { database } = this;
    this.statementsMade ??= {
      all: database.prepare(
        `SELECT request_id AS id, path, last_set AS lastSet, asked_at_ms AS askedAtMs, due_at_ms AS dueAtMs
         FROM forget_requests ORDER BY request_id`,
      ),
      put: database.prepare('INSERT OR REPLACE INTO forget_requests VALUES (?, ?, ?, ?, ?)'),
      remove: database.prepare('DELETE FROM forget_requests WHERE request_id = ?'),
    };
    return this.statementsMade;
  }

  /** Returns the requests by id; malformed ones are left out. */
  all(): ForgetRequest[] {
    return this.isThere ? this.statements.all.all().filter(isForgetRequest) : [];
  }

  put({ id, path, lastSet, askedAtMs, dueAtMs }: ForgetRequest): void {
    this.statements.put.run(id, path, lastSet, askedAtMs, dueAtMs);
  }

  remove(id: number): void {
    this.statements.remove.run(id);
  }
}
