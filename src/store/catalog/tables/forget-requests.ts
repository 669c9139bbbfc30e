/** Pending requests to forget a path. */
import { type ForgetRequest, isForgetRequest } from '../../../model/index.js';
import type { SqlDatabase } from '../../../system/index.js';

export class ForgetRequests {
  private readonly statements;

  constructor(database: SqlDatabase) {
    this.statements = {
      all: database.query(
        `SELECT request_id AS id, path, last_set AS lastSet, requested_at_ms AS requestedAtMs, due_at_ms AS dueAtMs
         FROM forget_requests ORDER BY request_id`,
        {
          id: 'integer',
          path: 'blob',
          lastSet: 'integer',
          requestedAtMs: 'integer',
          dueAtMs: 'integer',
        },
      ),
      put: database.prepare('INSERT OR REPLACE INTO forget_requests VALUES (?, ?, ?, ?, ?)'),
      remove: database.prepare('DELETE FROM forget_requests WHERE request_id = ?'),
    };
  }

  /** Returns the requests by id; malformed ones are left out. */
  all(): ForgetRequest[] {
    return this.statements.all.all().filter(isForgetRequest);
  }

  put({ id, path, lastSet, requestedAtMs, dueAtMs }: ForgetRequest): void {
    this.statements.put.run(id, path, lastSet, requestedAtMs, dueAtMs);
  }

  remove(id: number): void {
    this.statements.remove.run(id);
  }
}
