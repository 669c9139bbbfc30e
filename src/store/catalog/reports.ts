/**
 * Queries for reports on sets and on the use of space, for names in all sets, and for entries that differ between two sets.
 * Each reads a bounded slice of the catalog, since a session may be writing or waiting meanwhile.
 */
import {
  blankMetadata,
  type ContentId,
  type DirectoryId,
  ENTRY_SEAL_BYTES,
  EntryType,
  lowerAscii,
  SEAL_ATTRIBUTE,
  type SetNumber,
} from '../../model/index.js';
import type { SqlDatabase } from '../../system/index.js';
import { isShown } from './visible-sets.js';
import { NextId } from './tables/contents.js';
import { AS_OF, type ListingPage, SELECT_ENTRY, SELECT_ROW } from './tables/entries.js';
import { type CatalogEntry, ENTRY_ROW, toEntry } from './tables/stored-entry.js';

/** A place among the entries, which are sorted by directory and name. */
export interface EntryPlace {
  readonly directory: DirectoryId;
  readonly name: Buffer;
}

/** Two sets to compare. Entries that only one of them shows have changed. */
export interface SetSpan {
  /** Number of the other set; 0 stands for an empty set. */
  readonly before: SetNumber;
  readonly set: SetNumber;
}

/**
 * A directory with the number of its versions, the number of open versions, the bytes of its files, the number of file
 * versions that have ended, and the bytes of those.
 */
type DirectoryUse = [
  directory: DirectoryId,
  versions: number,
  openVersions: number,
  bytes: number,
  olderVersions: number,
  olderBytes: number,
];

/** Attributes that entries may have. A field may be true although no entry has such attributes. */
export interface AttributeUse {
  readonly hasAcls: boolean;
  readonly hasAny: boolean;
}

/** A content, and the kind of its record. */
export type StoredUse = [contentId: ContentId, sizeBytes: number, kind: number];

/** A content that a listed set shows; `isRecent` is 1 if a set from a given one on shows it. */
type ShownContent = [contentId: ContentId, isRecent: number];

const FILE = EntryType.file;

/** Bytes of metadata without device number, link and attributes. */
const BARE_BYTES = blankMetadata().length;
function hex(bytes: Uint8Array): string {
  return `x'${Buffer.from(bytes).toString('hex')}'`;
}
/** Head of the seal that every encrypted entry has. Its sealed attributes follow the seal, and may be ACLs. */
const SEAL_HEAD = Buffer.concat([
  Buffer.from([SEAL_ATTRIBUTE.length, 0, ENTRY_SEAL_BYTES, 0, 0, 0]),
  SEAL_ATTRIBUTE,
]);
/** Number of bytes from the start of the head to the end of the seal. */
const SEAL_ALL_BYTES = SEAL_HEAD.length + ENTRY_SEAL_BYTES;
const SEAL_AT = `instr(metadata, ${hex(SEAL_HEAD)})`;
/**
 * True if the last attribute is a seal. The name alone does not show this, since the seal of one in 65,536 entries
 * begins with "ed".
 */
const ENDS_IN_SEAL = `(${SEAL_AT} = length(metadata) - ${SEAL_ALL_BYTES - 1})`;
const MAY_HAVE_ANY = `NOT ${ENDS_IN_SEAL}`;
const MAY_HAVE_ACL = `(${MAY_HAVE_ANY}
  AND (${SEAL_AT} > 0 OR instr(metadata, ${hex(Buffer.from('system.posix_acl_'))}) > 0))`;

/** Metadata of an encrypted entry without link and attributes, from the length of its link up to its seal. */
const BARE_SEALED = Buffer.concat([Buffer.alloc(2), SEAL_HEAD]);
/** True if the flag "has attributes", 32, is set in the second byte of the metadata. */
const HAS_ATTRIBUTES = `(substr(metadata, 2, 1) BETWEEN x'20' AND x'3f'
  OR substr(metadata, 2, 1) BETWEEN x'60' AND x'7f'
  OR substr(metadata, 2, 1) BETWEEN x'a0' AND x'bf' OR substr(metadata, 2, 1) >= x'e0')`;
/**
 * True for entries whose attributes must be examined. Most other entries are excluded by their lengths, which takes a
 * tenth of the time.
 */
const LOOKED_AT = `length(metadata) > ${BARE_BYTES}
  AND (length(metadata) != ${BARE_BYTES + 2 + SEAL_ALL_BYTES}
    OR substr(metadata, ${BARE_BYTES + 1}, ${BARE_SEALED.length}) != ${hex(BARE_SEALED)})
  AND ${HAS_ATTRIBUTES}`;

const CHANGED = `((first_set > ? AND first_set <= ? AND (last_set IS NULL OR last_set >= ?))
  OR (first_set <= ? AND last_set >= ? AND last_set < ?))`;

export class ReportTable {
  private readonly statements;
  private readonly ids: NextId;

  constructor(database: SqlDatabase) {
    this.ids = new NextId(database, 'entries', 'directory_id');
    this.statements = {
      rootsOfSets: database.query(
        'SELECT set_number, path FROM set_roots JOIN roots USING (root_id) ORDER BY set_number, path',
        ['integer', 'blob'],
      ),
      restOf: database.query(
        `${SELECT_ENTRY} WHERE directory_id = ? AND name > ? AND ${CHANGED}
         ORDER BY name, first_set LIMIT ?`,
        ENTRY_ROW,
      ),
      between: database.query(
        `${SELECT_ENTRY} WHERE directory_id > ? AND directory_id <= ? AND ${CHANGED}
         ORDER BY directory_id, name, first_set LIMIT ?`,
        ENTRY_ROW,
      ),
      openChildren: database.query(
        `SELECT child_id, directory_id, name FROM entries
         WHERE child_id IS NOT NULL AND first_set <= ? AND (last_set IS NULL OR last_set >= ?)`,
        ['integer', 'integer', 'blob'],
      ),
      uses: database.query(
        `SELECT directory_id, count(*), total(last_set IS NULL), total((type = ${FILE}) * size_bytes),
           total(type = ${FILE} AND last_set IS NOT NULL),
           total((type = ${FILE} AND last_set IS NOT NULL) * size_bytes)
         FROM entries WHERE directory_id > ? AND directory_id <= ? GROUP BY directory_id`,
        ['integer', 'integer', 'real', 'real', 'real', 'real'],
      ),
      shownIn: database.query(
        `SELECT content_id, max(${isShown({ table: 'entries' }, '?')}) FROM entries
         WHERE directory_id > ? AND directory_id <= ? AND content_id IS NOT NULL
           AND ${isShown({ table: 'entries' })}
         GROUP BY content_id`,
        ['content', 'integer'],
      ),
      spans: database.query(
        `SELECT content_id, first_set, last_set FROM entries
         WHERE directory_id > ? AND directory_id <= ? AND content_id IS NOT NULL
           AND ${isShown({ table: 'entries' })}`,
        ['content', 'integer', 'integer?'],
      ),
      stored: database.query(
        `SELECT content_id, size_bytes, kind FROM contents JOIN records USING (record_id)
         WHERE content_id > ? ORDER BY content_id LIMIT ?`,
        ['content', 'integer', 'integer'],
      ),
      attributes: database.query(
        `SELECT max(${MAY_HAVE_ACL}), max(${MAY_HAVE_ANY}) FROM entries
         WHERE directory_id > ? AND directory_id <= ? AND ${LOOKED_AT}`,
        ['integer?', 'integer?'],
      ),
      records: database.query(
        'SELECT count(*), total(record_bytes), total(raw_bytes) FROM records',
        ['integer', 'real', 'real'],
      ),
    };
  }

  /** Returns the paths of the roots of every set, in one query. */
  rootsOfSets(): [set: SetNumber, path: Buffer][] {
    return this.statements.rootsOfSets.all();
  }

  /** Returns versions after `place` in the same directory that only one of two sets shows. */
  restOf(place: EntryPlace, span: SetSpan, limit: number): CatalogEntry[] {
    const rows = this.statements.restOf.all(place.directory, place.name, ...changed(span), limit);
    return rows.map(toEntry);
  }

  /** Returns versions that only one of two sets shows, in the directories after `directory` up to `upTo`. */
  between(directory: DirectoryId, upTo: DirectoryId, span: SetSpan, limit: number): CatalogEntry[] {
    const rows = this.statements.between.all(directory, upTo, ...changed(span), limit);
    return rows.map(toEntry);
  }

  /** Returns the first directory with entries whose id is at or above `from`; undefined if there is none. */
  nextDirectory(from: DirectoryId): DirectoryId | undefined {
    return this.ids.from(from);
  }

  /** Returns the place of every directory as of a set. Scans all entries. */
  placesIn(set: SetNumber): Map<DirectoryId, EntryPlace> {
    const rows = this.statements.openChildren.all(set, set);
    return new Map(rows.map(([child, directory, name]) => [child, { directory, name }]));
  }

  /** Returns the counts of the directories after `directory` up to `upTo`. */
  uses(directory: DirectoryId, upTo: DirectoryId): DirectoryUse[] {
    return this.statements.uses.all(directory, upTo);
  }

  /**
   * Returns the contents in these directories that listed sets show, and whether a set from `recent` on does.
   */
  shownIn(directory: DirectoryId, upTo: DirectoryId, recent: SetNumber): ShownContent[] {
    return this.statements.shownIn.all(recent, directory, upTo);
  }

  /** Returns the content and the sets of each version that a listed set shows, in these directories. */
  spansIn(
    directory: DirectoryId,
    upTo: DirectoryId,
  ): [content: ContentId, first: SetNumber, last: SetNumber | null][] {
    return this.statements.spans.all(directory, upTo);
  }

  /** Returns which attributes entries in these directories may have. */
  attributeUse(directory: DirectoryId, upTo: DirectoryId): AttributeUse {
    const row = this.statements.attributes.get(directory, upTo);
    return { hasAcls: row?.[0] === 1, hasAny: row?.[1] === 1 };
  }

  stored(after: ContentId, limit: number): StoredUse[] {
    return this.statements.stored.all(after, limit);
  }

  records(): { count: number; recordBytes: number; rawBytes: number } {
    const row = this.statements.records.get()!;
    return { count: row[0], recordBytes: row[1], rawBytes: row[2] };
  }
}

function changed({ before, set }: SetSpan): SetNumber[] {
  return [before, set, set, before, before, set];
}

/** A version of a name, with its place and its sets. */
export interface NamedVersion extends EntryPlace {
  readonly firstSet: SetNumber;
  /** Last set of the version; undefined for an open version. */
  readonly lastSet: SetNumber | undefined;
}

export class NamedEntries {
  private readonly statements;

  constructor(database: SqlDatabase) {
    this.statements = {
      behind: database.query(
        `SELECT directory_id, name FROM entries WHERE (directory_id, name) > (?, ?)
         ORDER BY directory_id, name, first_set LIMIT 1 OFFSET ?`,
        ['integer', 'blob'],
      ),
      named: database.query(
        `SELECT directory_id, name, first_set, last_set FROM entries
         WHERE (directory_id, name) > (?, ?) AND (directory_id, name) <= (?, ?)
           AND (? = 0 OR instr(CAST(lower(name) AS BLOB), ?) > 0)
         ORDER BY directory_id, name, first_set`,
        ['integer', 'blob', 'integer', 'integer?'],
      ),
    };
  }

  /** Returns the place `versions` versions after the given one; undefined if there are fewer. */
  placeBehind({ directory, name }: EntryPlace, versions: number): EntryPlace | undefined {
    const row = this.statements.behind.get(directory, name, versions - 1);
    if (row === undefined) return undefined;
    const [behind, last] = row;
    return { directory: behind, name: last };
  }

  /**
   * Returns all versions after one place and up to another whose names contain the bytes of `literal`, without
   * regard to capital letters of ASCII. An empty `literal` matches every name.
   */
  find(after: EntryPlace, upTo: EntryPlace, literal: Buffer): NamedVersion[] {
    const between = [after.directory, after.name, upTo.directory, upTo.name];
    const wanted = lowerAscii(literal); // as SQLite's `lower` does
    const rows = this.statements.named.all(...between, wanted.length, wanted);
    return rows.map(([directory, name, firstSet, lastSet]) => ({
      directory,
      name,
      firstSet,
      lastSet: lastSet ?? undefined,
    }));
  }
}

/** A scanned part of a listing. */
interface ScannedEntries {
  readonly entries: CatalogEntry[];
  /** The last name that was scanned; undefined if the listing was scanned to its end. */
  readonly upTo: Buffer | undefined;
}

/** Number of versions scanned at once, which takes some milliseconds. */
const SCAN_VERSIONS = 16_384;
/** A name that sorts after every valid name. */
const NAME_MAX: Buffer = Buffer.alloc(4097, 0xff);

/** Entries of a directory that differ between two sets. A row that is valid in both is skipped, except for a subdirectory. */
export class DifferingEntries {
  private readonly statements;

  constructor(database: SqlDatabase) {
    this.statements = {
      scanEnd: database.query(
        'SELECT name FROM entries WHERE directory_id = ? AND name > ? ORDER BY name LIMIT 1 OFFSET ?',
        'blob',
      ),
      page: database.query(
        `${SELECT_ROW} WHERE directory_id = ? AND name > ? AND name <= ? AND ${AS_OF}
             AND (child_id IS NOT NULL OR NOT (${AS_OF})) ORDER BY name LIMIT ?`,
        ENTRY_ROW,
      ),
    };
  }

  /**
   * Returns entries of a directory as of `set`, sorted by name: all subdirectories, and the other entries whose rows
   * are not valid as of `unlike`. If it returns `limit` entries, more of them may precede `upTo`.
   */
  list({ directory, set, after, limit }: ListingPage, unlike: SetNumber): ScannedEntries {
    const { scanEnd, page } = this.statements;
    const upTo = scanEnd.get(directory, after, SCAN_VERSIONS - 1);
    const end = upTo ?? NAME_MAX;
    const bounds = [directory, after, end, set, set, unlike, unlike, limit] as const;
    return { entries: page.all(...bounds).map(toEntry), upTo };
  }
}
