/** How many versions of entries a catalog holds: what an account with a quota pays for. */
import { EntryType } from '../model/index.js';
import type { SqlDatabase, SqlStatement } from '../system/index.js';

export interface VersionCounts {
  readonly all: number;
  /** Of these, directories. */
  readonly directories: number;
}

export class EntryCounts {
  private readonly last: SqlStatement;
  private readonly count: SqlStatement;

  constructor(database: SqlDatabase) {
    this.last = database.prepare('SELECT max(directory_id) FROM entries').pluck();
    this.count = database
      .prepare(
        'SELECT count(*), total(type = ?) FROM entries WHERE directory_id >= ? AND directory_id < ?',
      )
      .raw();
  }

  /** The highest number of a directory that has entries; 0: none has. */
  lastDirectory(): number {
    return (this.last.get() as number | null) ?? 0;
  }

  /** What the directories from `from` to before `upTo` hold. */
  between(from: number, upTo: number): VersionCounts {
    const [all, directories] = this.count.get(EntryType.directory, from, upTo) as [number, number];
    return { all, directories };
  }
}
