/** Counts versions of entries, for the quotas of accounts. */
import { type DirectoryId, EntryType } from '../../model/index.js';
import type { SqlDatabase, SqlQuery } from '../../system/index.js';
import { NextId } from './next-id.js';

interface VersionCounts {
  readonly all: number;
  /** Number of directories among the versions. */
  readonly directories: number;
}

export class EntryCounts {
  private readonly ids: NextId;
  private readonly count: SqlQuery<[all: number, directories: number]>;

  constructor(database: SqlDatabase) {
    this.ids = new NextId(database, 'entries', 'directory_id');
    this.count = database.query(
      'SELECT count(*), total(type = ?) FROM entries WHERE directory_id >= ? AND directory_id < ?',
      ['integer', 'real'],
    );
  }

  /** Returns the first directory with entries whose id is at or above `from`; undefined if there is none. */
  nextDirectory(from: DirectoryId): DirectoryId | undefined {
    return this.ids.from(from);
  }

  /** Counts the versions in directories with ids from `from` to below `upTo`. */
  between(from: DirectoryId, upTo: DirectoryId): VersionCounts {
    const [all, directories] = this.count.get(EntryType.directory, from, upTo)!;
    return { all, directories };
  }
}
