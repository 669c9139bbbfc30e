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
        `SELECT directory_id, total(is_now), total(is_now * size_bytes),
           total((is_now AND first_set > ?) * size_bytes), total(was_before * size_bytes)
         FROM (SELECT directory_id, size_bytes, first_set, (${AS_OF}) AS is_now, (${AS_OF}) AS was_before
           FROM entries WHERE directory_id > ? AND directory_id <= ? AND type = ${EntryType.file})
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
    return this.statements.sizes.all(before, set, set, before, before, directory, upTo);
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
