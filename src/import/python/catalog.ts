/** Reads the database of a client of Tardis (Python). All values are untrusted. */
import { TardisError } from '../../errors/index.js';
import type { RowOf, SqlDatabase, SqlQuery, SqlValue } from '../../system/index.js';

/** Schemas of 0.33 to 1.9.4. */
const OLDEST_SCHEMA = 15;
const NEWEST_SCHEMA = 23;
/** From this schema on, entries have owners by name; older ones have numbers. */
const NAMED_OWNERS = 22;
/** The first schemas with a table of tags, and with locked sets. */
const HAS_TAGS = 19;
const HAS_LOCKS = 20;
/** The tables that are read. */
const TABLES = 'Config Backups Files Names CheckSums Tags Users Groups'.split(' ');
/** The empty set that the original makes with a database. */
const INITIAL_SET = '.Initial';
/** Deltas that one content may need. The original makes 5 unless configured otherwise. */
const MAX_CHAIN = 1000;

/** A set of the original. */
export interface OriginalSet {
  readonly number: number;
  readonly name: string;
  /** Time at which it began, in milliseconds since 1970. */
  readonly begunMs: number;
  readonly priority: number;
  readonly isComplete: boolean;
  readonly isLocked: boolean;
  /** Tags as they are stored, perhaps encrypted. */
  readonly tags: readonly Buffer[];
}

/** One stored content, of which a delta has a basis. */
export interface StoredContent {
  readonly checksum: string;
  /** Size of the whole content. */
  readonly sizeBytes: number;
  readonly basis: string | undefined;
  /** A name of a compression, in small letters; `none` for none. */
  readonly compression: string;
  readonly isEncrypted: boolean;
}

/** One name in a directory, as it is stored. */
export interface OriginalEntry {
  readonly name: Buffer;
  readonly type: 'file' | 'directory' | 'symlink';
  /** Device and inode, the same for all names of a file. */
  readonly identity: NodeId;
  readonly mtimeS: number;
  readonly permissions: number;
  readonly linkCount: number;
  readonly user: OriginalOwner;
  readonly group: OriginalOwner;
  readonly checksum: string | undefined;
  readonly xattrs: string | undefined;
  readonly acl: string | undefined;
}

/** The number of a user or group, or its name as it is stored. */
export type OriginalOwner = number | Buffer | undefined;

/** Inode and device of an entry. */
export interface NodeId {
  readonly inode: bigint;
  readonly device: bigint;
}

/** The directory that has the roots of all backups. */
export const TOP: NodeId = { inode: 0n, device: 0n };

const ENTRY = {
  name: 'any',
  firstSet: 'bigint',
  inode: 'any',
  device: 'any',
  directory: 'any',
  link: 'any',
  mtime: 'any',
  mode: 'any',
  links: 'any',
  uid: 'any',
  gid: 'any',
  user: 'any',
  group: 'any',
  checksum: 'any',
  xattrs: 'any',
  acl: 'any',
} as const;

const CONTENT = ['any', 'any', 'any', 'any'] as const;

export class OriginalCatalog {
  readonly schema: number;
  private readonly entriesQuery: SqlQuery<RowOf<typeof ENTRY>>;
  private readonly contentQuery: SqlQuery<RowOf<typeof CONTENT>>;

  /** Throws IMPORT_SOURCE_DAMAGED if this is no database of the original, and IMPORT_SOURCE_UNKNOWN for another schema. */
  constructor(private readonly database: SqlDatabase) {
    requireTables(database);
    const found = Number(this.config('SchemaVersion'));
    if (!Number.isSafeInteger(found)) throw damaged('it has no version of its schema');
    if (found < OLDEST_SCHEMA || found > NEWEST_SCHEMA) throw otherSchema(found);
    this.schema = found;
    this.contentQuery = database.query(
      'SELECT Size, Basis, Compressed, Encrypted FROM CheckSums WHERE Checksum = ? AND IsFile',
      CONTENT,
    );
    this.entriesQuery = database.query(entriesSql(found >= NAMED_OWNERS), ENTRY);
  }

  /** Returns a value of the configuration, or undefined. */
  config(key: string): string | undefined {
    const query = this.database.query('SELECT Value FROM Config WHERE Key = ?', 'any');
    const value = query.get(key);
    return value === undefined || value === null ? undefined : textOf(value);
  }

  /** Returns the sets, oldest first. */
  sets(): OriginalSet[] {
    const locked = this.schema >= HAS_LOCKS ? 'Locked' : '0';
    const rows = this.database
      .query(
        `SELECT BackupSet, Name, StartTime, Priority, Completed, ${locked} FROM Backups
         ORDER BY BackupSet`,
        ['any', 'any', 'any', 'any', 'any', 'any'],
      )
      .all();
    return rows.flatMap(([number, name, start, priority, completed, lock]) => {
      const set = Number(number);
      const begunMs = Math.round(Number(start) * 1000);
      if (name === INITIAL_SET || !Number.isSafeInteger(set)) return [];
      if (!Number.isSafeInteger(begunMs)) throw damaged(`set ${set} has no time`);
      return [
        {
          number: set,
          name: name === null ? `set-${set}` : textOf(name),
          begunMs,
          priority: Number.isSafeInteger(Number(priority)) ? Number(priority) : 0,
          isComplete: Number(completed) === 1,
          isLocked: Number(lock) === 1,
          tags: this.tags(set),
        },
      ];
    });
  }

  /** Returns the names in a directory at the time of a set, sorted, one row for each. */
  entries(directory: NodeId, set: number): OriginalEntry[] {
    const found: OriginalEntry[] = [];
    for (const row of sound(() => this.entriesQuery.all(directory.inode, directory.device, set))) {
      const entry = entryOf(row);
      if (found.at(-1)?.name.equals(entry.name) === true) found.pop(); // the later row of a name counts
      found.push(entry);
    }
    return found;
  }

  /**
   * Returns a content and those that its delta needs, the needed ones last. Throws IMPORT_SOURCE_DAMAGED if one is missing, or
   * needs itself.
   */
  chain(checksum: string): StoredContent[] {
    const chain: StoredContent[] = [];
    const seen = new Set<string>();
    for (let next: string | undefined = checksum; next !== undefined; ) {
      if (seen.has(next) || seen.size === MAX_CHAIN) throw damagedContent(checksum, 'needs itself');
      seen.add(next);
      const content = this.content(next);
      if (content === undefined) throw damagedContent(checksum, `needs ${next}, which is missing`);
      chain.push(content);
      next = content.basis;
    }
    return chain;
  }

  private content(checksum: string): StoredContent | undefined {
    const row = sound(() => this.contentQuery.get(checksum));
    if (row === undefined || !isChecksum(checksum)) return undefined;
    const [size, basis, compression, isEncrypted] = row;
    const sizeBytes = Number(size);
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) return undefined;
    return {
      checksum,
      sizeBytes,
      basis: basis === null ? undefined : textOf(basis),
      compression: compressionOf(compression),
      isEncrypted: Number(isEncrypted) === 1,
    };
  }

  private tags(set: number): Buffer[] {
    if (this.schema < HAS_TAGS) return [];
    const sql = 'SELECT CAST(Name AS BLOB) FROM Tags JOIN Names USING (NameID) WHERE BackupSet = ?';
    return this.database.query(sql, 'blob').all(set);
  }
}

/** Throws IMPORT_SOURCE_DAMAGED if a table is a view, virtual, or has columns that are computed: these could run for ever. */
function requireTables(database: SqlDatabase): void {
  for (const table of TABLES) {
    const odd = database.query(
      `SELECT count(*) FROM sqlite_schema WHERE lower(name) = lower('${table}') AND (type <> 'table' OR rootpage = 0)
       UNION ALL SELECT count(*) FROM pragma_table_xinfo('${table}') WHERE hidden > 0`,
      'any',
    );
    if (sound(() => odd.all()).some((count) => count !== 0))
      throw damaged(`${table} is no plain table`);
  }
}

/** Returns rows. Throws IMPORT_SOURCE_DAMAGED if SQLite cannot read them. */
function sound<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && String(error.code).startsWith('SQLITE_')))
      throw error;
    throw new TardisError(
      'IMPORT_SOURCE_DAMAGED',
      'the database of Tardis (Python) is damaged',
      {},
      error,
    );
  }
}

/** True for the name of a content: a digest in hexadecimal digits, which is safe as a file name. */
export function isChecksum(text: string): boolean {
  return /^[0-9a-f]{32,128}$/.test(text);
}

function entriesSql(hasNames: boolean): string {
  const owners = hasNames
    ? `(SELECT CAST(Name AS BLOB) FROM Users JOIN Names USING (NameID) WHERE Users.UserID = f.UserID) AS user,
       (SELECT CAST(Name AS BLOB) FROM Groups JOIN Names USING (NameID) WHERE Groups.GroupID = f.GroupID) AS "group",`
    : 'NULL AS user, NULL AS "group",';
  return `
    SELECT CAST(n.Name AS BLOB) AS name, f.FirstSet AS firstSet, f.Inode AS inode, f.Device AS device,
      f.Dir AS directory, f.Link AS link, f.MTime AS mtime, f.Mode AS mode, f.NLinks AS links,
      f.UID AS uid, f.GID AS gid, ${owners} c.Checksum AS checksum, x.Checksum AS xattrs, a.Checksum AS acl
    FROM Files f JOIN Names n ON n.NameID = f.NameID
      LEFT JOIN CheckSums c ON c.ChecksumId = f.ChecksumId
      LEFT JOIN CheckSums x ON x.ChecksumId = f.XattrID
      LEFT JOIN CheckSums a ON a.ChecksumId = f.AclID
    WHERE f.Parent = ?1 AND f.ParentDev = ?2 AND ?3 BETWEEN f.FirstSet AND f.LastSet
    ORDER BY name, firstSet`.replace(/\?\d/g, '?');
}

function entryOf(row: RowOf<typeof ENTRY>): OriginalEntry {
  const type = isTrue(row.directory) ? 'directory' : isTrue(row.link) ? 'symlink' : 'file';
  return {
    name: Buffer.isBuffer(row.name) ? row.name : Buffer.alloc(0),
    type,
    identity: { inode: integerOf(row.inode), device: integerOf(row.device) },
    mtimeS: Number(integerOf(row.mtime)),
    permissions: Number(integerOf(row.mode) & 0o7777n),
    linkCount: Number(integerOf(row.links)),
    user: ownerOf(row.uid, row.user),
    group: ownerOf(row.gid, row.group),
    checksum: type === 'directory' ? undefined : checksumOf(row.checksum),
    xattrs: checksumOf(row.xattrs),
    acl: checksumOf(row.acl),
  };
}

function ownerOf(number: SqlValue, name: SqlValue): OriginalOwner {
  if (number !== null) return Number(integerOf(number));
  return Buffer.isBuffer(name) ? name : undefined;
}

function isTrue(value: SqlValue): boolean {
  return value === 1n || value === 1;
}

function integerOf(value: SqlValue): bigint {
  if (typeof value === 'bigint') return value;
  return typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : 0n;
}

function checksumOf(value: SqlValue): string | undefined {
  return typeof value === 'string' && isChecksum(value) ? value : undefined;
}

/** Returns the compression of a content: early releases noted only that there is one. */
function compressionOf(value: SqlValue): string {
  const text = value === null ? 'none' : textOf(value).toLowerCase();
  if (['none', 'false', '0', ''].includes(text)) return 'none';
  return ['true', '1'].includes(text) ? 'zlib' : text;
}

function textOf(value: SqlValue): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString('utf8') : String(value);
}

function damaged(why: string): TardisError {
  return new TardisError(
    'IMPORT_SOURCE_DAMAGED',
    `this is no sound database of Tardis (Python): ${why}`,
  );
}

function otherSchema(schema: number): TardisError {
  const known = `schemas ${OLDEST_SCHEMA} to ${NEWEST_SCHEMA}, of its releases 0.33 to 1.9`;
  const what = `the store of Tardis (Python) has schema ${schema}; known are ${known}`;
  return new TardisError('IMPORT_SOURCE_UNKNOWN', what, { schema });
}

/** Returns the error of a stored content that is damaged. */
export function damagedContent(checksum: string, why: string, cause?: unknown): TardisError {
  const what = `the stored content ${checksum} ${why}`;
  return new TardisError('IMPORT_SOURCE_DAMAGED', what, { checksum }, cause);
}
