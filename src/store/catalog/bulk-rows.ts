/**
 * Inserts many rows by one statement. Its values are packed, and the addon's tables unpack them
 * (native/src/packed-tables.cc). A first backup takes half as long for its rows as with a statement for each.
 */
import { type ContentId, contentIdOf, type RecordId, type SetNumber } from '../../model/index.js';
import type { SqlDatabase } from '../../system/index.js';

export class BulkRows {
  private readonly statements;

  constructor(database: SqlDatabase) {
    database.addTables();
    this.statements = {
      entries: database.prepare(
        'INSERT INTO packed_entries (rows, places, set_number) VALUES (?, ?, ?)',
      ),
      contents: database.prepare('INSERT INTO packed_contents (frame, record_id) VALUES (?, ?)'),
    };
  }

  /**
   * Writes checked rows as the open versions of their names from `set` on, as `EntryTable.put` does. `places` has the
   * numbers of RowPlace for each row.
   */
  addEntries(rows: Uint8Array, places: Float64Array, set: SetNumber): void {
    const bytes = new Uint8Array(places.buffer, places.byteOffset, places.byteLength);
    this.statements.entries.run(rows, bytes, set);
  }

  /** Adds the contents of a checked index of a frame, all of them new. Returns the first of their consecutive ids. */
  addContents(index: Uint8Array, recordId: RecordId): ContentId {
    return contentIdOf(Number(this.statements.contents.run(index, recordId).lastInsertRowid));
  }
}
