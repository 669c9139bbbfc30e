/**
 * Queries of a check. They run on a private copy of the catalog, so they may take long and have indexes of their own.
 * Results are untrusted, since the catalog itself is being checked.
 */
import type {
  ContentId,
  DirectoryId,
  PackNumber,
  RecordId,
  SetNumber,
} from '../../../model/index.js';
import { asTardisError, Opened, TardisError } from '../../../errors/index.js';
import { PrivateFolder, type SqlDatabase, type System } from '../../../system/index.js';
import { Catalog } from '../catalog.js';
import {
  contradictionsIn,
  differencesIn,
  type Inconsistency,
  inconsistenciesIn,
  lackingIn,
} from './audit-rules.js';
import { snapshotCatalog } from '../snapshot.js';
import { wrongColumns } from './wrong-values.js';

/** A record with contents or a signature, as the catalog has it. */
export interface AuditedRecord {
  readonly recordId: RecordId;
  readonly kind: number;
  readonly pack: PackNumber;
  readonly position: number;
  readonly recordBytes: number;
  readonly rawBytes: number;
  readonly codec: number;
  readonly scheme: number;
  readonly epoch: number;
}

/** A content in a record. */
export interface AuditedContent {
  readonly contentId: ContentId;
  readonly digest: Buffer;
  readonly sizeBytes: number;
  readonly offset: number;
  readonly isDamaged: number;
  readonly basisId: ContentId | null;
}

/** A version of a name that has a content. */
export interface ContentVersion {
  readonly directory: DirectoryId;
  readonly name: Buffer;
  readonly firstSet: SetNumber;
  readonly lastSet: SetNumber | null;
  readonly sizeBytes: number;
}

const RECORD = `record_id AS recordId, kind, pack, position, record_bytes AS recordBytes,
  raw_bytes AS rawBytes, codec, scheme, epoch`;
const CONTENT = `content_id AS contentId, digest, size_bytes AS sizeBytes, offset,
  is_damaged AS isDamaged, basis_id AS basisId`;
const VERSION = `directory_id AS directory, name, first_set AS firstSet, last_set AS lastSet,
  size_bytes AS sizeBytes`;
const RECORD_ROW = {
  recordId: 'record',
  kind: 'integer',
  pack: 'integer',
  position: 'integer',
  recordBytes: 'integer',
  rawBytes: 'integer',
  codec: 'integer',
  scheme: 'integer',
  epoch: 'integer',
} as const;
const CONTENT_ROW = {
  contentId: 'content',
  digest: 'blob',
  sizeBytes: 'integer',
  offset: 'integer',
  isDamaged: 'integer',
  basisId: 'content?',
} as const;
const VERSION_ROW = {
  directory: 'integer',
  name: 'blob',
  firstSet: 'integer',
  lastSet: 'integer?',
  sizeBytes: 'integer',
} as const;
const MAX_FAULTS = 100;

export class CatalogAudit {
  private statements: ReturnType<typeof statementsOf> | undefined;

  private constructor(
    private readonly folder: PrivateFolder,
    private readonly database: SqlDatabase,
    /** The private copy, opened for the usual queries. */
    readonly catalog: Catalog,
  ) {}

  /**
   * Copies a catalog and opens the copy. Throws CATALOG_NEWER for a later version, TEMPORARY_FULL if there is no space
   * for the copy, CLIENT_BUSY if the catalog keeps changing, and CATALOG_DAMAGED if it is missing or cannot be read.
   */
  static open(system: System, catalogPath: string): CatalogAudit {
    using opened = new Opened();
    const folder = opened.add(new PrivateFolder(system), (one) => one.remove());
    const copy = folder.file('catalog.db');
    try {
      snapshotCatalog(system, catalogPath, copy);
      const catalog = opened.add(Catalog.openForReading(system, copy), (one) => one.close());
      const editable = system.openDatabase(copy, { readonly: false });
      const database = opened.add(editable, (one) => one.close());
      if (database.pragma('user_version', { simple: true }) === 0) {
        throw new TardisError('CATALOG_DAMAGED', `the catalog ${catalogPath} is empty`);
      }
      database.pragma('journal_mode = MEMORY');
      database.pragma('synchronous = OFF');
      database.pragma('temp_store = MEMORY');
      opened.move();
      return new CatalogAudit(folder, database, catalog);
    } catch (error) {
      throw asTardisError(folder.explain(error), `reading ${catalogPath}`);
    }
  }

  /**
   * Returns the faults that SQLite finds, or else the columns with impossible values; empty if there are none.
   */
  integrity(): string[] {
    const faults = this.database.query(`PRAGMA integrity_check(${MAX_FAULTS})`, 'text').all();
    if (faults.length !== 1 || faults[0] !== 'ok') return faults.map((fault) => `SQLite: ${fault}`);
    return wrongColumns(this.database).map((name) => `a value in ${name} cannot be there`);
  }

  /** Returns the violated consistency rules. Throws SQLite's errors if tables cannot be read. */
  inconsistencies(): Inconsistency[] {
    return inconsistenciesIn(this.database);
  }

  /** Returns the tables that differ from those of the catalog at `otherPath`, which was made from the same packs. */
  differencesFrom(otherPath: string): Inconsistency[] {
    return differencesIn(this.database, otherPath);
  }

  /** Returns the number of versions that another catalog lacks, and the sets in which they began. */
  lackingIn(otherPath: string): { versions: number; sets: SetNumber[] } {
    return lackingIn(this.database, otherPath);
  }

  /**
   * Returns the number of versions that another catalog contradicts; undefined if the other catalog is of another
   * history.
   */
  contradictionsTo(otherPath: string): number | undefined {
    return contradictionsIn(this.database, otherPath);
  }

  private get prepared(): ReturnType<typeof statementsOf> {
    this.statements ??= statementsOf(this.database);
    return this.statements;
  }

  /** Returns the packs that have records; 0 stands for objects. */
  packs(): PackNumber[] {
    return this.prepared.packs.all();
  }

  recordsIn(pack: PackNumber): AuditedRecord[] {
    return this.prepared.recordsIn.all(pack);
  }

  /** Returns the packs to be deleted, with the times of their removal in ms. */
  removedPacks(): [pack: PackNumber, atMs: number][] {
    return this.prepared.removedPacks.all();
  }

  removedObjects(): [digest: Buffer, atMs: number][] {
    return this.prepared.removedObjects.all();
  }

  contentsOf(recordId: RecordId): AuditedContent[] {
    return this.prepared.contentsOf.all(recordId);
  }

  /** True if a record holds the signature of a content. */
  isSignature(recordId: RecordId): boolean {
    return this.prepared.signature.get(recordId) !== undefined;
  }

  recordOf(contentId: ContentId): AuditedRecord | undefined {
    return this.prepared.recordOf.get(contentId);
  }

  content(contentId: ContentId): AuditedContent | undefined {
    return this.prepared.content.get(contentId);
  }

  /** Returns contents that entries, parts or deltas need but that have no record. */
  missingContents(): ContentId[] {
    return this.prepared.missing.all();
  }

  /** Returns contents that have a record but are marked as damaged. */
  markedContents(): ContentId[] {
    return this.prepared.marked.all();
  }

  versionsOf(contentId: ContentId): ContentVersion[] {
    return this.prepared.versionsOf.all(contentId);
  }

  /** Returns the entries that ever led to a directory. */
  waysTo(directory: DirectoryId): ContentVersion[] {
    return this.prepared.waysTo.all(directory);
  }

  close(): void {
    try {
      this.catalog.close();
      this.database.close();
    } finally {
      this.folder.remove();
    }
  }
}

/** Creates indexes that are too expensive for backups, and prepares the queries that need them. */
function statementsOf(database: SqlDatabase) {
  database.exec(`
    CREATE INDEX IF NOT EXISTS audit_records ON records (pack, position);
    CREATE INDEX IF NOT EXISTS audit_contents ON contents (record_id);
    CREATE INDEX IF NOT EXISTS audit_entries ON entries (content_id) WHERE content_id IS NOT NULL;
    CREATE INDEX IF NOT EXISTS audit_ways ON entries (child_id) WHERE child_id IS NOT NULL;
    CREATE INDEX IF NOT EXISTS audit_signatures ON signatures (record_id);
    CREATE INDEX IF NOT EXISTS audit_parts ON content_parts (part_id);`);
  return {
    packs: database.query('SELECT DISTINCT pack FROM records ORDER BY pack', 'integer'),
    recordsIn: database.query(
      `SELECT ${RECORD} FROM records WHERE pack = ? ORDER BY position`,
      RECORD_ROW,
    ),
    removedPacks: database.query('SELECT pack, removed_at_ms FROM removed_packs', [
      'integer',
      'integer',
    ]),
    removedObjects: database.query('SELECT digest, removed_at_ms FROM removed_objects', [
      'blob',
      'integer',
    ]),
    contentsOf: database.query(`SELECT ${CONTENT} FROM contents WHERE record_id = ?`, CONTENT_ROW),
    signature: database.query('SELECT 1 FROM signatures WHERE record_id = ?', 'integer'),
    recordOf: database.query(
      `SELECT ${RECORD} FROM records WHERE record_id = (SELECT record_id FROM contents WHERE content_id = ?)`,
      RECORD_ROW,
    ),
    content: database.query(`SELECT ${CONTENT} FROM contents WHERE content_id = ?`, CONTENT_ROW),
    missing: database.query(
      `SELECT content_id FROM contents WHERE record_id IS NULL
         AND EXISTS (SELECT 1 FROM entries WHERE entries.content_id = contents.content_id)
       UNION SELECT content_id FROM entries WHERE content_id IS NOT NULL
         AND NOT EXISTS (SELECT 1 FROM contents WHERE contents.content_id = entries.content_id)
       UNION SELECT contents.content_id FROM contents
         JOIN content_parts ON content_parts.part_id = contents.content_id WHERE record_id IS NULL
       UNION SELECT basis.content_id FROM contents JOIN contents basis ON basis.content_id = contents.basis_id
         WHERE basis.record_id IS NULL`,
      'content',
    ),
    marked: database.query(
      'SELECT content_id FROM contents WHERE is_damaged AND record_id IS NOT NULL',
      'content',
    ),
    versionsOf: database.query(
      `SELECT ${VERSION} FROM entries WHERE content_id = ? ORDER BY directory_id, name, first_set`,
      VERSION_ROW,
    ),
    waysTo: database.query(
      `SELECT ${VERSION} FROM entries WHERE child_id = ? ORDER BY first_set`,
      VERSION_ROW,
    ),
  };
}
