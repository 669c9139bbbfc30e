/**
 * Entries: versions of names in directories, as intervals of sets. Writing keeps one rule: a name has
 * at most one open row, and a row that begins in the current set is replaced rather than closed.
 */
import {
  attributesOf,
  type Entry,
  EntryType,
  type EntryTypeNumber,
  exactMtimeNs,
  linkTargetOf,
  METADATA_FROM,
  metadataOf,
  RowOffset,
  type RowReader,
  STORED_FLAGS,
} from '../model/index.js';
import type { SqlDatabase } from '../system/index.js';

/** An entry as the catalog has it. */
export interface CatalogEntry extends Entry {
  readonly directory: number;
  readonly firstSet: number;
  readonly lastSet: number | undefined;
  /** Files that are not empty. */
  readonly contentId: number | undefined;
  /** Directories. */
  readonly childId: number | undefined;
  /** The packed row as the catalog keeps it (see `metadataOf`, `joinRow`). */
  readonly metadata: Buffer;
  /** Of a client that encrypts: what proves which content it has. */
  readonly proof?: ContentProof | undefined;
}

/** Where the hash stands by which an entry's seal covers its content. */
export interface ContentProof {
  readonly hashes: Buffer;
  readonly at: number;
}

/** What an open row is, as far as closing or replacing it needs. */
export interface OpenRow {
  readonly firstSet: number;
  readonly childId: number | undefined;
}

/** An open row with what tells whether a file must be read again. */
export interface HeadRow extends OpenRow {
  readonly name: Buffer;
  readonly contentId: number | undefined;
  /** False: an entry names the content but its bytes are missing. */
  readonly isStored: boolean;
  readonly flags: number;
  readonly metadata: Buffer;
}

/** Which entries of a directory are asked for. */
export interface ListingPage {
  readonly directory: number;
  readonly set: number;
  readonly after: Buffer;
  readonly limit: number;
  readonly withDigests: boolean;
  /**
   * Only directories, and entries that are not the same as of this other set. Whoever answers may leave it
   * out of account: more entries come then.
   */
  readonly unlike?: number | undefined;
}

/** An entry that comes from elsewhere than the catalog. `metadata` must have been checked (see checkRows). */
export function entryOfParts(parts: {
  readonly directory: number;
  readonly name: Buffer;
  readonly firstSet: number;
  readonly lastSet: number | undefined;
  readonly flags: number;
  readonly contentId: number | undefined;
  readonly childId: number | undefined;
  readonly metadata: Buffer;
  readonly digest: Buffer | undefined;
}): CatalogEntry {
  const { directory, name, firstSet, flags, metadata } = parts;
  const { lastSet = null, contentId = null, childId = null, digest = null } = parts;
  const columns: EntryColumns = [
    directory,
    name,
    firstSet,
    lastSet,
    flags,
    contentId,
    childId,
    metadata,
    digest,
  ];
  return new StoredEntry(columns);
}

/** What is secret of an entry, opened. */
export interface OpenedParts {
  readonly name: Buffer;
  readonly metadata: Buffer;
  readonly proof: ContentProof;
}

/**
 * Puts what is secret of an entry, opened, into it: a second entry for each would cost a restore more
 * than opening does. Whoever has the entry must be its only owner.
 */
export function openInPlace(entry: CatalogEntry, { name, metadata, proof }: OpenedParts): void {
  const opened = entry as { -readonly [F in keyof CatalogEntry]: CatalogEntry[F] };
  opened.name = name;
  opened.metadata = metadata;
  opened.proof = proof;
}

const COLUMNS =
  'directory_id, name, first_set, last_set, type, flags, size_bytes, content_id, child_id, metadata';
const SELECT = `SELECT directory_id, name, first_set, last_set, flags, content_id, child_id, metadata`;
const DIGEST = '(SELECT digest FROM contents WHERE contents.content_id = entries.content_id)';
export const AS_OF: string = 'first_set <= ? AND (last_set IS NULL OR last_set >= ?)';
const SELECT_HEAD = `
  SELECT name, first_set, child_id, entries.content_id,
         entries.content_id IS NULL OR (record_id IS NOT NULL AND NOT is_damaged), flags, metadata
  FROM entries LEFT JOIN contents ON contents.content_id = entries.content_id`;

/** One version, as `toEntry` takes it; without its digest, and with it. */
export const SELECT_ROW: string = `${SELECT}, NULL FROM entries`;
export const SELECT_ENTRY: string = `${SELECT}, ${DIGEST} FROM entries`;

export type EntryColumns = [
  directory: number,
  name: Buffer,
  firstSet: number,
  lastSet: number | null,
  flags: number,
  contentId: number | null,
  childId: number | null,
  metadata: Buffer,
  digest: Buffer | null,
];

/** Reads most fields from the packed metadata only when they are asked for. */
class StoredEntry implements CatalogEntry {
  readonly directory: number;
  name: Buffer;
  readonly firstSet: number;
  readonly lastSet: number | undefined;
  readonly flags: number;
  readonly contentId: number | undefined;
  readonly childId: number | undefined;
  metadata: Buffer;
  readonly digest: Buffer | undefined;
  proof: ContentProof | undefined = undefined;

  constructor(columns: EntryColumns) {
    this.directory = columns[0];
    this.name = columns[1];
    this.firstSet = columns[2];
    this.lastSet = columns[3] ?? undefined;
    this.flags = columns[4];
    this.contentId = columns[5] ?? undefined;
    this.childId = columns[6] ?? undefined;
    this.metadata = columns[7];
    this.digest = columns[8] ?? undefined;
  }

  get type(): EntryTypeNumber {
    return this.metadata[RowOffset.type - METADATA_FROM] as EntryTypeNumber;
  }
  get permissions(): number {
    return this.metadata.readUInt16LE(RowOffset.permissions - METADATA_FROM);
  }
  get uid(): number {
    return this.metadata.readUInt32LE(RowOffset.uid - METADATA_FROM);
  }
  get gid(): number {
    return this.metadata.readUInt32LE(RowOffset.gid - METADATA_FROM);
  }
  get linkCount(): number {
    return this.metadata.readUInt32LE(RowOffset.linkCount - METADATA_FROM);
  }
  get sizeBytes(): number {
    return Number(this.metadata.readBigUInt64LE(RowOffset.sizeBytes - METADATA_FROM));
  }
  /** Exact, also where the row cannot tell it. */
  get mtimeNs(): bigint {
    const timeNs = this.metadata.readBigInt64LE(RowOffset.mtimeNs - METADATA_FROM);
    return exactMtimeNs(timeNs, this.attributes);
  }
  get ctimeNs(): bigint {
    return this.metadata.readBigInt64LE(RowOffset.ctimeNs - METADATA_FROM);
  }
  get birthTimeNs(): bigint {
    return this.metadata.readBigInt64LE(RowOffset.birthTimeNs - METADATA_FROM);
  }
  get inode(): bigint {
    return this.metadata.readBigUInt64LE(RowOffset.inode - METADATA_FROM);
  }
  get device(): bigint {
    const at = RowOffset.device - METADATA_FROM;
    const isDevice = this.type === EntryType.characterDevice || this.type === EntryType.blockDevice;
    return isDevice ? this.metadata.readBigUInt64LE(at) : 0n;
  }
  get linkTarget(): Buffer | undefined {
    return this.type === EntryType.symlink ? linkTargetOf(this.metadata) : undefined;
  }
  get attributes(): Buffer | undefined {
    return attributesOf(this.metadata);
  }
}

export function toEntry(columns: EntryColumns): CatalogEntry {
  return new StoredEntry(columns);
}

type HeadColumns = [
  name: Buffer,
  firstSet: number,
  childId: number | null,
  contentId: number | null,
  isStored: number,
  flags: number,
  metadata: Buffer,
];

function toHeadRow(columns: HeadColumns): HeadRow {
  const [name, firstSet, childId, contentId, isStored, flags, metadata] = columns;
  return {
    name,
    firstSet,
    childId: childId ?? undefined,
    contentId: contentId ?? undefined,
    isStored: isStored === 1,
    flags,
    metadata,
  };
}

export class EntryTable {
  private readonly statements;

  constructor(database: SqlDatabase) {
    this.statements = {
      put: database.prepare(
        `INSERT OR REPLACE INTO entries (${COLUMNS}) VALUES (?, ?, ?, NULL, ?, ?, ?, ?, ?, ?)`,
      ),
      open: database
        .prepare(
          `SELECT first_set, child_id FROM entries
           WHERE directory_id = ? AND name = ? AND last_set IS NULL ORDER BY first_set DESC LIMIT 1`,
        )
        .raw(),
      close: database.prepare(
        'UPDATE entries SET last_set = ? WHERE directory_id = ? AND name = ? AND first_set = ?',
      ),
      remove: database.prepare(
        'DELETE FROM entries WHERE directory_id = ? AND name = ? AND first_set = ?',
      ),
      setFlags: database.prepare(
        'UPDATE entries SET flags = ? WHERE directory_id = ? AND name = ? AND first_set = ?',
      ),
      head: database
        .prepare(
          `${SELECT_HEAD}
           WHERE directory_id = ? AND name > ? AND name <= ? AND last_set IS NULL ORDER BY name`,
        )
        .raw(),
      headOne: database
        .prepare(`${SELECT_HEAD} WHERE directory_id = ? AND name = ? AND last_set IS NULL`)
        .raw(),
      headNames: database
        .prepare(
          `SELECT name, first_set, child_id FROM entries
           WHERE directory_id = ? AND last_set IS NULL ORDER BY name LIMIT ?`,
        )
        .raw(),
      page: database
        .prepare(
          `${SELECT}, NULL FROM entries
           WHERE directory_id = ? AND name > ? AND ${AS_OF} ORDER BY name LIMIT ?`,
        )
        .raw(),
      pageWithDigests: database
        .prepare(
          `${SELECT}, ${DIGEST} FROM entries
           WHERE directory_id = ? AND name > ? AND ${AS_OF} ORDER BY name LIMIT ?`,
        )
        .raw(),
      oneAsOf: database
        .prepare(
          `${SELECT}, ${DIGEST} FROM entries WHERE directory_id = ? AND name = ? AND ${AS_OF}`,
        )
        .raw(),
      versions: database
        .prepare(
          `${SELECT}, ${DIGEST} FROM entries
           WHERE directory_id = ? AND name = ? ORDER BY first_set`,
        )
        .raw(),
      any: database.prepare('SELECT 1 FROM entries LIMIT 1').pluck(),
    };
  }

  /** Writes the row at `at` as the open version of its name from `set` on. */
  put(
    directory: number,
    rows: RowReader,
    at: number,
    set: number,
    contentId: number | undefined,
    childId: number | undefined,
  ): void {
    this.statements.put.run(
      directory,
      rows.name(at),
      set,
      rows.type(at),
      rows.flags(at) & STORED_FLAGS,
      rows.sizeBytes(at),
      contentId ?? null,
      childId ?? null,
      metadataOf(rows, at),
    );
  }

  /** The open version of a name, or undefined. */
  findOpen(directory: number, name: Buffer): OpenRow | undefined {
    const row = this.statements.open.get(directory, name) as [number, number | null] | undefined;
    return row === undefined ? undefined : { firstSet: row[0], childId: row[1] ?? undefined };
  }

  /** Ends an open version before `set`; one that began in `set` itself never was. */
  close(directory: number, name: Buffer, open: OpenRow, set: number): void {
    if (open.firstSet >= set) this.statements.remove.run(directory, name, open.firstSet);
    else this.statements.close.run(set - 1, directory, name, open.firstSet);
  }

  /** Changes what is remembered about an open version without making a new one. */
  setFlags(directory: number, name: Buffer, firstSet: number, flags: number): void {
    this.statements.setFlags.run(flags & STORED_FLAGS, directory, name, firstSet);
  }

  /** Open versions of the names after `after` up to `upTo`, sorted. */
  headRange(directory: number, after: Buffer, upTo: Buffer): HeadRow[] {
    return (this.statements.head.all(directory, after, upTo) as HeadColumns[]).map(toHeadRow);
  }

  /** The open version of one name. */
  findHead(directory: number, name: Buffer): HeadRow | undefined {
    const row = this.statements.headOne.get(directory, name) as HeadColumns | undefined;
    return row === undefined ? undefined : toHeadRow(row);
  }

  /** Some open versions of a directory, as far as closing them needs. */
  headNames(directory: number, limit: number): (OpenRow & { readonly name: Buffer })[] {
    const rows = this.statements.headNames.all(directory, limit) as [
      Buffer,
      number,
      number | null,
    ][];
    return rows.map(([name, firstSet, childId]) => ({
      name,
      firstSet,
      childId: childId ?? undefined,
    }));
  }

  /**
   * A page of a directory as of a set, sorted by name, after the name `after`. Without digests it
   * spares a look-up for each file.
   */
  listAsOf({ directory, set, after, limit, withDigests }: ListingPage): CatalogEntry[] {
    const statement = withDigests ? this.statements.pageWithDigests : this.statements.page;
    const rows = statement.all(directory, after, set, set, limit) as EntryColumns[];
    return rows.map(toEntry);
  }

  findAsOf(directory: number, name: Buffer, set: number): CatalogEntry | undefined {
    const row = this.statements.oneAsOf.get(directory, name, set, set) as EntryColumns | undefined;
    return row === undefined ? undefined : toEntry(row);
  }

  /** Every version of a name in one directory, oldest first. */
  versions(directory: number, name: Buffer): CatalogEntry[] {
    return (this.statements.versions.all(directory, name) as EntryColumns[]).map(toEntry);
  }

  isEmpty(): boolean {
    return this.statements.any.get() === undefined;
  }
}
