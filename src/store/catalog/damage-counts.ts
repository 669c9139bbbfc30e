/** Counts the contents marked as damaged. The mark has no index, so they are counted in slices. */
import { type ContentId, contentIdOf } from '../../model/index.js';
import type { SqlDatabase, SqlQuery } from '../../system/index.js';
import { NextId } from './next-id.js';

export class DamageCounts {
  private readonly ids: NextId;
  private readonly count: SqlQuery<number>;

  constructor(database: SqlDatabase) {
    this.ids = new NextId(database, 'contents', 'content_id');
    this.count = database.query(
      'SELECT total(is_damaged) FROM contents WHERE content_id >= ? AND content_id < ?',
      'real',
    );
  }

  /** Returns the first content id at or above `from`; undefined if there is none. */
  nextContent(from: ContentId): ContentId | undefined {
    const id = this.ids.from(from);
    return id === undefined ? undefined : contentIdOf(id);
  }

  /** Returns the number of damaged contents with ids from `from` to below `upTo`. */
  between(from: ContentId, upTo: ContentId): number {
    return this.count.get(from, upTo)!;
  }
}
