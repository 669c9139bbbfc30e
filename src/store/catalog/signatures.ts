/** Places of the signatures of contents. */
import type { ContentId, PackNumber, RecordId } from '../../model/index.js';
import type { SqlDatabase } from '../../system/index.js';

/** The place of the record with a signature. */
interface StoredSignature {
  readonly pack: PackNumber;
  readonly position: number;
  readonly recordBytes: number;
  /** Size of the signature itself. */
  readonly rawBytes: number;
}

export class SignatureTable {
  private readonly statements;

  constructor(database: SqlDatabase) {
    this.statements = {
      put: database.prepare(
        'INSERT OR REPLACE INTO signatures (content_id, record_id) VALUES (?, ?)',
      ),
      find: database.query(
        `SELECT pack, position, record_bytes AS recordBytes, raw_bytes AS rawBytes
         FROM signatures JOIN records USING (record_id) WHERE content_id = ?`,
        { pack: 'integer', position: 'integer', recordBytes: 'integer', rawBytes: 'integer' },
      ),
    };
  }

  put(contentId: ContentId, recordId: RecordId): void {
    this.statements.put.run(contentId, recordId);
  }

  find(contentId: ContentId): StoredSignature | undefined {
    return this.statements.find.get(contentId);
  }
}
