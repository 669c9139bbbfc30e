/** How many contents a catalog has that are marked as damaged. There is no index by it, so it is asked in slices. */
import type { SqlDatabase, SqlStatement } from '../system/index.js';

export class DamageCounts {
  private readonly last: SqlStatement;
  private readonly count: SqlStatement;

  constructor(database: SqlDatabase) {
    this.last = database.prepare('SELECT max(content_id) FROM contents').pluck();
    this.count = database
      .prepare('SELECT total(is_damaged) FROM contents WHERE content_id >= ? AND content_id < ?')
      .pluck();
  }

  /** The highest number of a content; 0: there is none. */
  lastContent(): number {
    return (this.last.get() as number | null) ?? 0;
  }

  /** Of the contents from `from` to before `upTo`. */
  between(from: number, upTo: number): number {
    return this.count.get(from, upTo) as number;
  }
}
