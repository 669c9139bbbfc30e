/**
 * Entries: versions of names in directories, as intervals of sets. Writing keeps one rule: a name has
 * at most one open row, and a row that begins in the current set is replaced rather than closed.
 */
import {
  type Entry,
  EntryType,
  type EntryTypeNumber,
  type RowReader,
  RowOffset,
  STORED_FLAGS,
} from '../model/index.js';
import type { SqlDatabase, SqlValue } from '../system/index.js';

/** An entry as the catalog has it. */
export interface CatalogEntry extends Entry {
  readonly directory: number;
  readonly firstSet: number;
  readonly lastSet: number | undefined;
  /** Files that are not empty. */
  readonly contentId: number | undefined;
  /** Directories. */
  readonly childId: number | undefined;
}

const COLUMNS = `directory_id, name, first_set, last_set, type, flags, permissions, uid, gid,
  link_count, size_bytes, mtime_ns, ctime_ns, birth_time_ns, inode, device, content_id, child_id,
  link_target`;
const DIGEST_OF = '(SELECT digest FROM contents WHERE contents.content_id = entries.content_id)';

const SELECT_HEAD = `
  SELECT name, first_set, child_id, entries.content_id,
         entries.content_id IS NULL OR record_id IS NOT NULL, flags, type, permissions, uid, gid,
         entries.size_bytes, mtime_ns, ctime_ns, inode, device, link_target
  FROM entries LEFT JOIN contents ON contents.content_id = entries.content_id`;

type EntryColumns = [
  directory: bigint,
  name: Buffer,
  firstSet: bigint,
  lastSet: bigint | null,
  type: bigint,
  flags: bigint,
  permissions: bigint,
  uid: bigint,
  gid: bigint,
  linkCount: bigint,
  sizeBytes: bigint,
  mtimeNs: bigint,
  ctimeNs: bigint,
  birthTimeNs: bigint,
  inode: bigint,
  device: bigint,
  contentId: bigint | null,
  childId: bigint | null,
  linkTarget: Buffer | null,
  digest: Buffer | null,
];

function toEntry(columns: EntryColumns): CatalogEntry {
  return {
    directory: Number(columns[0]),
    name: columns[1],
    firstSet: Number(columns[2]),
    lastSet: columns[3] === null ? undefined : Number(columns[3]),
    type: Number(columns[4]) as EntryTypeNumber,
    flags: Number(columns[5]),
    permissions: Number(columns[6]),
    uid: Number(columns[7]),
    gid: Number(columns[8]),
    linkCount: Number(columns[9]),
    sizeBytes: Number(columns[10]),
    mtimeNs: columns[11],
    ctimeNs: columns[12],
    birthTimeNs: columns[13],
    inode: BigInt.asUintN(64, columns[14]),
    device: BigInt.asUintN(64, columns[15]),
    contentId: columns[16] === null ? undefined : Number(columns[16]),
    childId: columns[17] === null ? undefined : Number(columns[17]),
    linkTarget: columns[18] ?? undefined,
    digest: columns[19] ?? undefined,
  };
}

/** What an open row is, as far as closing or replacing it needs. */
export interface OpenRow {
  readonly firstSet: number;
  readonly childId: number | undefined;
}

/** An open row with what tells whether a file must be read again. */
export interface HeadRow {
  readonly name: Buffer;
  readonly firstSet: number;
  readonly childId: number | undefined;
  readonly contentId: number | undefined;
  /** False: an entry names the content but its bytes are missing. */
  readonly isStored: boolean;
  readonly flags: number;
  /** Type, permissions, uid, gid, size, mtime, ctime, inode, device: what `sameMetadata` compares. */
  readonly columns: readonly bigint[];
  readonly linkTarget: Buffer | undefined;
}

type HeadColumns = (bigint | Buffer | null)[];

function toHeadRow(row: HeadColumns): HeadRow {
  return {
    name: row[0] as Buffer,
    firstSet: Number(row[1]),
    childId: row[2] === null ? undefined : Number(row[2]),
    contentId: row[3] === null ? undefined : Number(row[3]),
    isStored: row[4] === 1n,
    flags: Number(row[5]),
    columns: row.slice(6, 15) as bigint[],
    linkTarget: (row[15] as Buffer | null) ?? undefined,
  };
}

export class EntryTable {
  private readonly statements;

  constructor(database: SqlDatabase) {
    const placeholders = Array.from({ length: 19 }, () => '?').join(', ');
    this.statements = {
      put: database.prepare(`INSERT OR REPLACE INTO entries (${COLUMNS}) VALUES (${placeholders})`),
      open: database
        .prepare(
          `SELECT first_set, child_id FROM entries
           WHERE directory_id = ? AND name = ? AND last_set IS NULL ORDER BY first_set DESC LIMIT 1`,
        )
        .raw(),
      close: database.prepare(
        `UPDATE entries SET last_set = ? WHERE directory_id = ? AND name = ? AND first_set = ?`,
      ),
      remove: database.prepare(
        'DELETE FROM entries WHERE directory_id = ? AND name = ? AND first_set = ?',
      ),
      head: database
        .prepare(
          `${SELECT_HEAD}
           WHERE directory_id = ? AND name > ? AND name <= ? AND last_set IS NULL ORDER BY name`,
        )
        .raw()
        .safeIntegers(),
      headOne: database
        .prepare(`${SELECT_HEAD} WHERE directory_id = ? AND name = ? AND last_set IS NULL`)
        .raw()
        .safeIntegers(),
      setFlags: database.prepare(
        'UPDATE entries SET flags = ? WHERE directory_id = ? AND name = ? AND first_set = ?',
      ),
      headAll: database
        .prepare(
          `SELECT name, first_set, child_id FROM entries
           WHERE directory_id = ? AND last_set IS NULL ORDER BY name LIMIT ?`,
        )
        .raw(),
      asOf: database
        .prepare(
          `SELECT ${COLUMNS}, ${DIGEST_OF} FROM entries
           WHERE directory_id = ? AND name > ? AND first_set <= ?
             AND (last_set IS NULL OR last_set >= ?) ORDER BY name LIMIT ?`,
        )
        .raw()
        .safeIntegers(),
      oneAsOf: database
        .prepare(
          `SELECT ${COLUMNS}, ${DIGEST_OF} FROM entries
           WHERE directory_id = ? AND name = ? AND first_set <= ?
             AND (last_set IS NULL OR last_set >= ?)`,
        )
        .raw()
        .safeIntegers(),
      versions: database
        .prepare(
          `SELECT ${COLUMNS}, ${DIGEST_OF} FROM entries
           WHERE directory_id = ? AND name = ? ORDER BY first_set`,
        )
        .raw()
        .safeIntegers(),
      count: database.prepare('SELECT COUNT(*) FROM entries').pluck(),
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
    const buffer = rows.rows;
    const type = rows.type(at);
    const values: SqlValue[] = [
      directory,
      rows.name(at),
      set,
      null,
      type,
      rows.flags(at) & STORED_FLAGS,
      buffer.readUInt16LE(at + RowOffset.permissions),
      buffer.readUInt32LE(at + RowOffset.uid),
      buffer.readUInt32LE(at + RowOffset.gid),
      buffer.readUInt32LE(at + RowOffset.linkCount),
      sqlInteger(rows.sizeBytes(at)),
      rows.mtimeNs(at),
      rows.ctimeNs(at),
      rows.birthTimeNs(at),
      buffer.readBigInt64LE(at + RowOffset.inode),
      buffer.readBigInt64LE(at + RowOffset.device),
      contentId ?? null,
      childId ?? null,
      type === EntryType.symlink ? rows.linkTarget(at) : null,
    ];
    this.statements.put.run(...values);
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

  /** Open versions of the names after `after` up to `upTo`, sorted. */
  headRange(directory: number, after: Buffer, upTo: Buffer): HeadRow[] {
    return (this.statements.head.all(directory, after, upTo) as HeadColumns[]).map(toHeadRow);
  }

  /** The open version of one name. */
  findHead(directory: number, name: Buffer): HeadRow | undefined {
    const row = this.statements.headOne.get(directory, name) as HeadColumns | undefined;
    return row === undefined ? undefined : toHeadRow(row);
  }

  /** Changes what is remembered about an open version without making a new one. */
  setFlags(directory: number, name: Buffer, firstSet: number, flags: number): void {
    this.statements.setFlags.run(flags & STORED_FLAGS, directory, name, firstSet);
  }

  /** Some open versions of a directory, as far as closing them needs. */
  headNames(directory: number, limit: number): (OpenRow & { readonly name: Buffer })[] {
    const rows = this.statements.headAll.all(directory, limit) as [Buffer, number, number | null][];
    return rows.map(([name, firstSet, childId]) => ({
      name,
      firstSet,
      childId: childId ?? undefined,
    }));
  }

  /** A page of a directory as of a set, sorted by name, after the name `after`. */
  listAsOf(directory: number, set: number, after: Buffer, limit: number): CatalogEntry[] {
    const rows = this.statements.asOf.all(directory, after, set, set, limit) as EntryColumns[];
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

  count(): number {
    return this.statements.count.get() as number;
  }
}

/** better-sqlite3 binds numbers past 32 bits as floats, which the column turns back: exact to 2^53. */
function sqlInteger(value: number): number | bigint {
  return value <= 0x7fff_ffff ? value : BigInt(value);
}

/** Whether an open version and a fresh row say the same (names are equal already). */
export function sameMetadata(head: HeadRow, rows: RowReader, at: number): boolean {
  const buffer = rows.rows;
  const [type, permissions, uid, gid, size, mtime, ctime, inode, device] = head.columns;
  return (
    Number(type) === rows.type(at) &&
    Number(permissions) === buffer.readUInt16LE(at + RowOffset.permissions) &&
    Number(uid) === buffer.readUInt32LE(at + RowOffset.uid) &&
    Number(gid) === buffer.readUInt32LE(at + RowOffset.gid) &&
    Number(size) === rows.sizeBytes(at) &&
    mtime === rows.mtimeNs(at) &&
    ctime === rows.ctimeNs(at) &&
    inode === buffer.readBigInt64LE(at + RowOffset.inode) &&
    device === buffer.readBigInt64LE(at + RowOffset.device) &&
    (rows.type(at) !== EntryType.symlink || head.linkTarget?.equals(rows.linkTarget(at)) === true)
  );
}
