/** Contents by digest, and the records that hold them. */
import { TardisError } from '../../../errors/index.js';
import {
  type ContentId,
  contentIdOf,
  type DirectoryId,
  NO_CONTENT,
  type PackNumber,
  type RecordId,
  recordIdOf,
} from '../../../model/index.js';
import type { RowOf, SqlDatabase, SqlQuery } from '../../../system/index.js';
import { type Location, recordBytes, type RecordHeader } from '../../index.js';
import { pages } from '../pages.js';
import { PACKED_PLACES } from './packed-values.js';

export interface ContentRow {
  readonly contentId: ContentId;
  readonly sizeBytes: number;
  /**
   * True if the bytes of the content are stored. False if an entry names the content but its bytes are missing or
   * damaged.
   */
  readonly isStored: boolean;
  /** True if the content is stored as a delta on another content. */
  readonly isDelta: boolean;
}

/** A content and its digest. */
interface NamedContent {
  readonly contentId: ContentId;
  readonly digest: Buffer;
  readonly sizeBytes: number;
}

/** The place of a content's bytes. */
export interface StoredContent {
  readonly digest: Buffer;
  readonly sizeBytes: number;
  readonly kind: number;
  readonly pack: PackNumber;
  readonly position: number;
  readonly recordBytes: number;
  /** Offset of the content in the decoded body of its record. */
  readonly offset: number;
  /** Basis of the delta; null if the content is stored whole. */
  readonly basisId: ContentId | null;
}

/**
 * Rows are read as arrays: a restore reads one for each file, and SQLite's binding takes twice as long for
 * objects.
 */
const STORED_ROW = [
  'blob',
  'integer',
  'integer',
  'integer',
  'integer',
  'integer',
  'integer',
  'content?',
] as const;
type StoredColumns = RowOf<typeof STORED_ROW>;
const SELECT_STORED = `
  SELECT digest, size_bytes, kind, pack, position, record_bytes, offset, basis_id
  FROM contents JOIN records USING (record_id)`;

export class ContentTable {
  private readonly statements;
  /** Filter with every digest of the table; undefined if the table was not empty when it was opened. */
  private readonly filter: DigestFilter | undefined;

  constructor(database: SqlDatabase) {
    this.statements = {
      find: database.query(
        `SELECT content_id, size_bytes, record_id IS NOT NULL AND NOT is_damaged,
           basis_id IS NOT NULL FROM contents
         WHERE substr(digest, 1, 8) = substr(?, 1, 8) AND digest = ?`,
        ['content', 'integer', 'integer', 'integer'],
      ),
      findByPrefix: database.query(
        `SELECT content_id AS contentId, digest, size_bytes AS sizeBytes FROM contents
         WHERE substr(digest, 1, 8) = substr(?, 1, 8) AND substr(digest, 1, length(?)) = ? LIMIT ?`,
        { contentId: 'content', digest: 'blob', sizeBytes: 'integer' },
      ),
      insert: database.prepare(
        'INSERT INTO contents (digest, size_bytes, record_id, offset) VALUES (?, ?, ?, ?)',
      ),
      fill: database.prepare(
        `UPDATE contents SET record_id = ?, offset = ?, size_bytes = ?, is_damaged = 0, basis_id = NULL
         WHERE content_id = ?`,
      ),
      empty: database.prepare('UPDATE contents SET is_damaged = 1 WHERE content_id = ?'),
      sound: database.prepare(
        'UPDATE contents SET is_damaged = 0 WHERE content_id = ? AND record_id IS NOT NULL',
      ),
      breakAssemblies: database.prepare(
        `UPDATE contents SET is_damaged = 1 WHERE content_id IN (
           SELECT content_parts.content_id FROM content_parts
           JOIN contents part ON part.content_id = part_id
           WHERE part.record_id IS NULL OR part.is_damaged) AND NOT is_damaged`,
      ),
      addPart: database.prepare('INSERT OR REPLACE INTO content_parts VALUES (?, ?, ?)'),
      parts: database.query(
        'SELECT part_id FROM content_parts WHERE content_id = ? ORDER BY part_number',
        'content',
      ),
      insertRecord: database.prepare(
        `INSERT INTO records (kind, pack, position, record_bytes, raw_bytes, codec, scheme, epoch)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
      ),
      hasSize: database.query(
        'SELECT 1 FROM contents WHERE size_bytes = ? AND size_bytes > 1048576 AND record_id IS NOT NULL AND NOT is_damaged LIMIT 1',
        'integer',
      ),
      addPartSource: database.prepare('INSERT OR REPLACE INTO part_sources VALUES (?, ?)'),
      hasParts: database.query(
        'SELECT 1 FROM part_sources WHERE file_size_bytes = ? LIMIT 1',
        'integer',
      ),
      stored: database.query(`${SELECT_STORED} WHERE content_id = ?`, STORED_ROW),
      places: database.query(PACKED_PLACES, 'blob'),
      holders: database.query(
        'SELECT DISTINCT directory_id FROM entries WHERE content_id = ? AND last_set IS NULL',
        'integer',
      ),
      missing: database.query(
        `SELECT content_id AS contentId, digest FROM contents
         WHERE record_id IS NULL AND content_id > ? ORDER BY content_id LIMIT ?`,
        { contentId: 'content', digest: 'blob' },
      ),
      any: database.query('SELECT 1 FROM contents LIMIT 1', 'integer'),
      damaged: database.query(
        'SELECT 1 FROM contents WHERE content_id = ? AND (record_id IS NULL OR is_damaged)',
        'integer',
      ),
    };
    this.filter = this.isEmpty() ? new DigestFilter() : undefined;
  }

  find(digest: Uint8Array): ContentRow | undefined {
    if (this.filter?.mayHave(digest) === false) return undefined;
    const row = this.statements.find.get(digest, digest);
    if (row === undefined) return undefined;
    const [contentId, sizeBytes, isStored, isDelta] = row;
    return { contentId, sizeBytes, isStored: isStored === 1, isDelta: isDelta === 1 };
  }

  /** True if the bytes of a content are missing, or a check has marked it as damaged. */
  isDamaged(contentId: ContentId): boolean {
    return this.statements.damaged.get(contentId) === 1;
  }

  /** Returns contents whose digest begins with `prefix`, which must have at least 8 bytes. */
  findByPrefix(prefix: Buffer, limit: number): NamedContent[] {
    return this.statements.findByPrefix.all(prefix, prefix, prefix, limit);
  }

  addRecord(header: RecordHeader, location: Location): RecordId {
    const { lastInsertRowid } = this.statements.insertRecord.run(
      header.kind,
      location.pack,
      location.position,
      recordBytes(header),
      header.rawBytes,
      header.codec,
      header.scheme,
      header.epoch,
    );
    return recordIdOf(Number(lastInsertRowid));
  }

  /** Reserves digests, as `DigestFilter.addNew` does. Returns false if any of them may be in the table. */
  areNew(digests: Uint8Array, strideBytes: number): boolean {
    return this.filter?.addNew(digests, strideBytes) === true;
  }

  /** Adds a content; `recordId` is undefined if its bytes are missing. */
  add(
    digest: Uint8Array,
    sizeBytes: number,
    recordId: RecordId | undefined,
    offset: number,
  ): ContentId {
    this.filter?.add(digest);
    const { lastInsertRowid } = this.statements.insert.run(
      digest,
      sizeBytes,
      recordId ?? null,
      offset,
    );
    return contentIdOf(Number(lastInsertRowid));
  }

  /**
   * Records the place and the size of a content. The size may have been unknown before. The content then counts as
   * intact, and as no delta.
   */
  fill(contentId: ContentId, recordId: RecordId, offset: number, sizeBytes: number): void {
    this.statements.fill.run(recordId, offset, sizeBytes, contentId);
  }

  /** Yields the contents without a record. */
  missing(): Iterable<Pick<NamedContent, 'contentId' | 'digest'>[]> {
    return pages(
      NO_CONTENT,
      (...page) => this.statements.missing.all(...page),
      ({ contentId }) => contentId,
    );
  }

  /** Marks a content as damaged, so that its bytes count as missing. */
  markMissing(contentId: ContentId): void {
    this.statements.empty.run(contentId);
  }

  /** Unmarks a damaged content if it has a record. */
  markSound(contentId: ContentId): void {
    this.statements.sound.run(contentId);
  }

  /**
   * Marks contents with a missing or damaged part as damaged. Returns true if there were any that were not yet marked.
   */
  breakAssemblies(): boolean {
    return this.statements.breakAssemblies.run().changes > 0;
  }

  addPart(contentId: ContentId, partNumber: number, partId: ContentId): void {
    this.statements.addPart.run(contentId, partNumber, partId);
  }

  /** Returns the parts of an assembly, in order. */
  partsOf(contentId: ContentId): ContentId[] {
    return this.statements.parts.all(contentId);
  }

  /** True if an intact content of exactly this size is stored; false for all sizes up to 1 MiB. */
  hasLargeOfSize(sizeBytes: number): boolean {
    return this.statements.hasSize.get(sizeBytes) !== undefined;
  }

  addPartSource(contentId: ContentId, fileSizeBytes: number): void {
    this.statements.addPartSource.run(contentId, fileSizeBytes);
  }

  /** True if parts of a file of exactly this size are stored. */
  hasPartsOfFile(fileSizeBytes: number): boolean {
    return this.statements.hasParts.get(fileSizeBytes) !== undefined;
  }

  stored(contentId: ContentId): StoredContent | undefined {
    const row = this.statements.stored.get(contentId);
    if (row === undefined) return undefined;
    requirePlace(row);
    const [digest, sizeBytes, kind, pack, position, recordBytes, offset, basisId] = row;
    return { digest, sizeBytes, kind, pack, position, recordBytes, offset, basisId };
  }

  /** Returns the places of contents as one value, for `PackedPlaces`. */
  packedPlaces(contentIds: readonly ContentId[]): Buffer {
    return this.statements.places.get(JSON.stringify(contentIds)) ?? Buffer.alloc(0);
  }

  /** Returns directories with an open entry that has this content. Scans the entries. */
  directoriesHolding(contentId: ContentId): DirectoryId[] {
    return this.statements.holders.all(contentId);
  }

  isEmpty(): boolean {
    return this.statements.any.get() === undefined;
  }
}

/**
 * Checks the place of a content. Throws CATALOG_DAMAGED if a value has a type that no writer stores. Runs for each
 * file of a restore.
 */
function requirePlace(row: StoredColumns): void {
  const [digest, sizeBytes, kind, pack, position, bytes, offset, basisId] = row;
  const isPlace = Number.isSafeInteger(pack) && Number.isSafeInteger(position);
  const isRecord = Number.isSafeInteger(kind) && Number.isSafeInteger(bytes);
  const isPart = Number.isSafeInteger(sizeBytes) && Number.isSafeInteger(offset);
  const isBasis = basisId === null || Number.isSafeInteger(basisId);
  if (digest instanceof Buffer && isPlace && isRecord && isPart && isBasis) return;
  const what = 'its content has no place in the catalog that makes sense (contents, records)';
  throw new TardisError('CATALOG_DAMAGED', what);
}

/**
 * Finds the existing ids of a table, for scans in slices. The largest id is no usable bound, since a damaged
 * catalog may contain a huge one.
 */
export class NextId {
  private readonly statement: SqlQuery<number | null>;
  private readonly place: string;

  constructor(database: SqlDatabase, table: string, column: string) {
    this.place = `${table}.${column}`;
    this.statement = database.query(
      `SELECT min(${column}) FROM ${table} WHERE ${column} >= ?`,
      'integer?',
    );
  }

  /**
   * Returns the smallest id at or above `least`; undefined if there is none. Throws CATALOG_DAMAGED if the
   * value is not an integer.
   */
  from(least: number): number | undefined {
    const found = this.statement.get(least)!;
    if (found === null || Number.isSafeInteger(found)) return found ?? undefined;
    throw new TardisError(
      'CATALOG_DAMAGED',
      `the catalog holds values that cannot be there, in ${this.place}`,
    );
  }
}

/**
 * A Bloom filter over digests. In a first backup nearly every content is new, and the filter saves an index
 * lookup for each. Digests are random, so their own bytes serve as hashes. (B. H. Bloom, "Space/time trade-offs
 * in hash coding with allowable errors", 1970.)
 */
const BITS = 1 << 23; // 1 MiB; with a million digests one lookup in thirty is a false positive
const PROBE_OFFSETS = [0, 4, 8] as const;

class DigestFilter {
  private readonly words = new Int32Array(BITS / 32);

  add(digest: Uint8Array): void {
    for (const offset of PROBE_OFFSETS) {
      const bit = bitAt(digest, offset);
      this.words[bit >>> 5]! |= 1 << (bit & 31);
    }
  }

  /**
   * Adds digests that begin every `strideBytes` bytes, up to the first one that may have been added before. Returns true
   * if there was none, so that all are new and differ from each other.
   */
  addNew(digests: Uint8Array, strideBytes: number): boolean {
    for (let at = 0; at < digests.length; at += strideBytes) {
      let isNew = false;
      for (const offset of PROBE_OFFSETS) {
        const bit = bitAt(digests, at + offset);
        const word = this.words[bit >>> 5]!;
        const mask = 1 << (bit & 31);
        if ((word & mask) !== 0) continue;
        isNew = true;
        this.words[bit >>> 5] = word | mask;
      }
      if (!isNew) return false;
    }
    return true;
  }

  /** True if the digest may have been added. False if it was certainly not added. */
  mayHave(digest: Uint8Array): boolean {
    for (const offset of PROBE_OFFSETS) {
      const bit = bitAt(digest, offset);
      if ((this.words[bit >>> 5]! & (1 << (bit & 31))) === 0) return false;
    }
    return true;
  }
}

function bitAt(digest: Uint8Array, offset: number): number {
  const low = digest[offset]! | (digest[offset + 1]! << 8) | (digest[offset + 2]! << 16);
  return low & (BITS - 1);
}
