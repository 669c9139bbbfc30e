/** Queries for the sizes of directories as of a set. Each reads a slice of the directories. */
import { type DirectoryId, EntryType, type SetNumber } from '../../model/index.js';
import type { SqlDatabase } from '../../system/index.js';
import type { SetSpan } from './reports.js';
import { AS_OF } from './tables/entries.js';

/**
 * A directory of a set, or of an earlier one, with its own files: the number and the bytes of those in the set, the bytes of
 * those that came after the earlier set, and the bytes of those in the earlier set.
 */
export type DirectorySizes = [
  directory: DirectoryId,
  files: number,
  bytes: number,
  newBytes: number,
  earlierBytes: number,
];

export class SizeTable {
  private readonly statements;

  constructor(database: SqlDatabase) {
    this.statements = {
      sizes: database.query(
        `WITH span(after, up_to, before, now) AS (VALUES (?, ?, ?, ?))
         SELECT directory_id, total(is_now), total(is_now * size_bytes),
           total((is_now AND first_set > before) * size_bytes), total(was_before * size_bytes)
         FROM (SELECT directory_id, size_bytes, first_set, before,
             (${AS_OF.replaceAll('?', 'now')}) AS is_now,
             (${AS_OF.replaceAll('?', 'before')}) AS was_before
           FROM span CROSS JOIN entries
           WHERE directory_id > after AND directory_id <= up_to AND type = ${EntryType.file})
         GROUP BY directory_id`,
        ['integer', 'real', 'real', 'real', 'real'],
      ),
      children: database.query(
        `SELECT child_id, directory_id FROM entries
         WHERE directory_id > ? AND directory_id <= ? AND child_id IS NOT NULL AND ${AS_OF}`,
        ['integer', 'integer'],
      ),
    };
  }

  /** Returns the sizes of the directories after `directory` up to `upTo`, without those that have no file in a set. */
  sizesIn(directory: DirectoryId, upTo: DirectoryId, { before, set }: SetSpan): DirectorySizes[] {
    return this.statements.sizes.all(directory, upTo, before, set);
  }

  /** Returns each directory in these directories as of a set, with the directory that it is in. */
  childrenIn(
    directory: DirectoryId,
    upTo: DirectoryId,
    set: SetNumber,
  ): [child: DirectoryId, parent: DirectoryId][] {
    return this.statements.children.all(directory, upTo, set, set);
  }
}
