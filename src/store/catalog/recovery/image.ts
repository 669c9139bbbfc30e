/** Converts a catalog, apart from the places of contents, to items of an image. */
import {
  configBytes,
  type DirectoryId,
  EntryType,
  joinRow,
  NO_BYTES,
  type SetNumber,
} from '../../../model/index.js';
import type { ImageDirectory, ImageHead, ImageItem, ImageSet, OwnerRecord } from '../../index.js';
import { HistoryTable } from '../history.js';
import { pages } from '../pages.js';
import { AccountTable } from '../tables/accounts.js';
import { ForgetRequests } from '../tables/forget-requests.js';
import { ClientSettings } from '../tables/settings.js';
import { marksIn, SetTable, statsIn } from '../tables/sets.js';
import type { SqlDatabase } from '../../../system/index.js';

const PAGE = 1024;
/** Approximate size of a decoded piece. */
const PIECE_BYTES = 512 << 10;
/** Approximate size of an item of a list. */
const ITEM_BYTES = 64;
const FIRST_VERSION: readonly [name: Buffer, firstSet: SetNumber] = [NO_BYTES, 0];
const FIRST_SEAL: readonly [directory: DirectoryId, firstSet: SetNumber] = [-1, 0];

type DirectoryColumns = [bigint, bigint, bigint, Buffer, bigint, bigint, bigint];
type EntryColumns = [
  name: Buffer,
  firstSet: SetNumber,
  lastSet: SetNumber | null,
  flags: number,
  childId: DirectoryId | null,
  metadata: Buffer,
  digest: Buffer | null,
];
type SetColumns = [
  set: SetNumber,
  name: string,
  state: string,
  openedAtMs: number,
  clientTimeMs: number,
  closedAtMs: number | null,
  stats: Buffer | null,
  marks: Buffer | null,
  seal: Buffer | null,
];

export class ImageTable {
  private readonly statements;
  private readonly forgets: ForgetRequests;
  private readonly accounts: AccountTable;
  private readonly history: HistoryTable;
  private readonly settings: ClientSettings;
  private readonly sets: SetTable;

  constructor(database: SqlDatabase) {
    this.forgets = new ForgetRequests(database);
    this.accounts = new AccountTable(database);
    this.history = new HistoryTable(database);
    this.settings = new ClientSettings(database);
    this.sets = new SetTable(database);
    this.statements = {
      roots: database.query(
        'SELECT root_id AS root, path, directory_id AS directory, device FROM roots ORDER BY root_id',
        { root: 'integer', path: 'blob', directory: 'integer', device: 'text' },
      ),
      sets: database.query(
        `SELECT set_number, name, state, opened_at_ms, client_time_ms, closed_at_ms, stats, marks,
                seal
         FROM backup_sets LEFT JOIN set_seals USING (set_number) ORDER BY set_number`,
        ['integer', 'text', 'text', 'integer', 'integer', 'integer?', 'blob?', 'blob?', 'blob?'],
      ),
      setRoots: database.query(
        'SELECT root_id FROM set_roots WHERE set_number = ? ORDER BY root_id',
        'integer',
      ),
      configuredSets: database.query(
        'SELECT set_number FROM set_configs ORDER BY set_number',
        'integer',
      ),
      notedSets: database.query('SELECT DISTINCT set_number FROM set_notes', 'integer'),
      ownedSets: database.query(
        'SELECT DISTINCT first_set FROM owner_names ORDER BY first_set',
        'integer',
      ),
      owners: database.query(
        'SELECT is_group AS isGroup, id, name FROM owner_names WHERE first_set = ? ORDER BY is_group, id',
        { isGroup: 'integer', id: 'integer', name: 'blob' },
      ),
      directories: database.query(
        `SELECT directory_id, root_id, parent_id, name, inode, birth_time_ns,
           directory_id IN (SELECT directory_id FROM unplaced_directories)
         FROM directories WHERE directory_id > ? ORDER BY directory_id LIMIT ?`,
        ['bigint', 'bigint', 'bigint', 'blob', 'bigint', 'bigint', 'bigint'],
      ),
      entries: database.query(
        `SELECT name, first_set, last_set, flags, child_id, metadata,
           (SELECT digest FROM contents WHERE contents.content_id = entries.content_id)
         FROM entries WHERE directory_id = ? AND (name, first_set) > (?, ?)
         ORDER BY name, first_set LIMIT ?`,
        ['blob', 'integer', 'integer?', 'integer', 'integer?', 'blob', 'blob?'],
      ),
      seals: database.query(
        `SELECT directory_id, first_set, last_set, seal FROM directory_seals
         WHERE (directory_id, first_set) > (?, ?) ORDER BY directory_id, first_set LIMIT ?`,
        ['integer', 'integer', 'integer?', 'blob'],
      ),
      ...digestStatements(database),
    };
  }

  /**
   * Yields the items of an image in order, in pieces that each fit into a record, and of which none is empty. The first
   * item is the head.
   */
  *pieces(head: ImageHead): Generator<ImageItem[]> {
    let items: ImageItem[] = [head];
    let bytes = head.packs.length * ITEM_BYTES;
    for (const item of this.items()) {
      items.push(item);
      bytes += sizeOf(item);
      if (bytes < PIECE_BYTES) continue;
      yield items;
      items = [];
      bytes = 0;
    }
    if (items.length > 0) yield items;
  }

  /** Yields all data about sets and their entries in items of bounded size. */
  private *items(): Generator<ImageItem> {
    for (const digests of pagesOf(this.statements.objects.all())) {
      yield { type: 'objects', digests };
    }
    for (const digests of pagesOf(this.statements.damaged.all())) {
      yield { type: 'damaged', digests };
    }
    for (const roots of pagesOf(this.statements.roots.all())) {
      yield { type: 'roots', roots };
    }
    for (const page of pagesOf(this.statements.sets.all())) {
      yield { type: 'sets', sets: page.map((row) => this.set(row)) };
    }
    for (const set of this.statements.configuredSets.all()) {
      const config = this.settings.configOf(set);
      if (config !== undefined) yield { type: 'config', set, config };
    }
    for (const settings of pagesOf(this.settings.all())) {
      yield { type: 'settings', settings };
    }
    for (const requests of pagesOf(this.forgets.all())) yield { type: 'forgets', requests };
    for (const sets of pagesOf(this.accounts.sets())) yield { type: 'accounts', sets };
    for (const set of this.statements.notedSets.all()) {
      for (const notes of pagesOf(this.sets.notesOf(set))) {
        yield { type: 'notes', set, notes };
      }
    }
    yield* this.owners();
    yield* this.directories();
    yield* this.entries();
    yield* this.seals();
  }

  private set(row: SetColumns): ImageSet {
    const [set, name, state, openedAtMs, clientTimeMs, closedAtMs, stats, marks, seal] = row;
    return {
      set,
      name,
      state,
      openedAtMs,
      clientTimeMs,
      closedAtMs: closedAtMs ?? 0,
      stats: statsIn(stats),
      roots: this.statements.setRoots.all(set),
      seal: seal ?? NO_BYTES,
      marks: marksIn(marks),
    };
  }

  private *owners(): Generator<ImageItem> {
    for (const set of this.statements.ownedSets.all()) {
      const owners = this.statements.owners
        .all(set)
        .map((owner): OwnerRecord => ({ ...owner, isGroup: owner.isGroup === 1 }));
      for (const page of pagesOf(owners)) yield { type: 'owners', set, owners: page };
    }
  }

  private *directories(): Generator<ImageItem> {
    const { directories } = this.statements;
    const all = pages(
      -1,
      (...from) => directories.all(...from),
      ([directory]) => Number(directory),
      PAGE,
    );
    for (const page of all) yield { type: 'directories', directories: page.map(directoryOf) };
  }

  private *entries(): Generator<ImageItem> {
    for (const page of this.history.directories()) {
      for (const directory of page) yield* this.entriesOf(directory);
    }
  }

  private *entriesOf(directory: DirectoryId): Generator<ImageItem> {
    const { entries } = this.statements;
    const versions = pages(
      FIRST_VERSION,
      (after, limit) => entries.all(directory, ...after, limit),
      ([name, firstSet]) => [name, firstSet] as const,
      PAGE,
    );
    for (const page of versions) {
      yield {
        type: 'entries',
        directory,
        rows: Buffer.concat(page.map(rowOf)),
        flags: Buffer.from(page.map(([, , , flags]) => flags)),
        firsts: page.map(([, firstSet]) => firstSet),
        lasts: page.map(([, , lastSet]) => lastSet ?? 0),
        children: page.flatMap(([, , , , childId, metadata]) =>
          metadata[0] === EntryType.directory ? [childId ?? 0] : [],
        ),
      };
    }
  }

  private *seals(): Generator<ImageItem> {
    const { seals } = this.statements;
    const spans = pages(
      FIRST_SEAL,
      (after, limit) => seals.all(...after, limit),
      ([directory, firstSet]) => [directory, firstSet] as const,
      PAGE,
    );
    for (const page of spans) {
      yield {
        type: 'seals',
        directories: page.map(([directory]) => directory),
        firsts: page.map(([, firstSet]) => firstSet),
        lasts: page.map(([, , lastSet]) => lastSet ?? 0),
        seals: Buffer.concat(page.map(([, , , seal]) => seal)),
      };
    }
  }
}

function digestStatements(database: SqlDatabase) {
  return {
    objects: database.query(
      'SELECT digest FROM contents JOIN records USING (record_id) WHERE pack = 0',
      'blob',
    ),
    damaged: database.query('SELECT digest FROM contents WHERE is_damaged', 'blob'),
  };
}

function* pagesOf<T>(items: readonly T[]): Generator<T[]> {
  for (let at = 0; at < items.length; at += PAGE) yield items.slice(at, at + PAGE);
}

function sizeOf(item: ImageItem): number {
  switch (item.type) {
    case 'entries':
      return item.rows.length + item.firsts.length * ITEM_BYTES;
    case 'config':
      return configBytes(item.config) + ITEM_BYTES;
    case 'seals':
      return item.seals.length;
    case 'directories':
      return item.directories.length * ITEM_BYTES * 2;
    default:
      return PIECE_BYTES / 4; // a page of small items
  }
}

function directoryOf(columns: DirectoryColumns): ImageDirectory {
  const [directory, root, parent, name, inode, birthTimeNs, isUnplaced] = columns;
  const bytesOf = (value: bigint): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(value);
    return bytes;
  };
  return {
    directory: Number(directory),
    root: Number(root),
    parent: Number(parent),
    name,
    inode: bytesOf(inode),
    birthTimeNs: bytesOf(birthTimeNs),
    isUnplaced: isUnplaced === 1n,
  };
}

function rowOf([name, , , , , metadata, digest]: EntryColumns): Buffer {
  return joinRow(metadata, name, digest ?? undefined);
}
