/** Inserts the items of an image into an empty catalog. The caller applies the items about contents. */
import {
  type ContentId,
  DIRECTORY_SEAL_BYTES,
  EntryType,
  forEachRow,
  metadataOf,
  RowReader,
  STORED_FLAGS,
} from '../../../model/index.js';
import type { ImageDirectory, ImageItem, ImageSet } from '../../index.js';
import type { SqlDatabase } from '../../../system/index.js';
import { AccountTable } from '../tables/accounts.js';
import { DirectoryTable } from '../tables/directories.js';
import { ForgetRequests } from '../tables/forget-requests.js';
import { SealTable } from '../tables/seals.js';
import { marksColumn, SetTable, statsColumn } from '../tables/sets.js';
import { ClientSettings } from '../tables/settings.js';

export class ImageLoader {
  private readonly inserts;
  private readonly forgets: ForgetRequests;
  private readonly accounts: AccountTable;
  private readonly settings: ClientSettings;
  private readonly sets: SetTable;
  private readonly seals: SealTable;
  private readonly directories: DirectoryTable;

  constructor(database: SqlDatabase) {
    this.inserts = insertsOf(database);
    this.forgets = new ForgetRequests(database);
    this.accounts = new AccountTable(database);
    this.settings = new ClientSettings(database);
    this.sets = new SetTable(database);
    this.seals = new SealTable(database);
    this.directories = new DirectoryTable(database);
  }

  /**
   * Inserts one item of an image into a catalog that was empty before the first item. Skips the items `head`,
   * `objects` and `damaged`, which the caller applies. `contentOf` returns the id of the content whose digest is in a
   * row.
   */
  load(item: ImageItem, contentOf: (rows: RowReader, at: number) => ContentId | undefined): void {
    const { inserts } = this;
    switch (item.type) {
      case 'head':
      case 'objects':
      case 'damaged':
        return;
      case 'roots':
        for (const { root, path, directory, device } of item.roots) {
          inserts.root.run(root, path, directory, device ?? '');
        }
        return;
      case 'sets':
        for (const set of item.sets) this.loadSet(set);
        return;
      case 'config':
        return this.settings.putConfig(item.set, item.config);
      case 'settings':
        for (const { key, value } of item.settings) this.settings.put(key, value);
        return;
      case 'forgets':
        for (const request of item.requests) this.forgets.put(request);
        return;
      case 'accounts':
        return this.accounts.addSets(item.sets);
      case 'notes':
        for (const note of item.notes) this.sets.addNote(item.set, note);
        return;
      case 'owners':
        for (const { isGroup, id, name } of item.owners) {
          inserts.owner.run(isGroup ? 1 : 0, id, item.set, name);
        }
        return;
      case 'directories':
        for (const directory of item.directories) this.loadDirectory(directory);
        return;
      case 'entries':
        this.loadEntries(item, contentOf);
        return;
      case 'seals':
        item.directories.forEach((directory, index) => {
          const at = index * DIRECTORY_SEAL_BYTES;
          const seal = Buffer.from(item.seals.subarray(at, at + DIRECTORY_SEAL_BYTES));
          inserts.seal.run(directory, item.firsts[index]!, item.lasts[index]! || null, seal);
        });
    }
  }

  private loadSet(set: ImageSet): void {
    const { set: number, name, state, openedAtMs, clientTimeMs, closedAtMs, stats, marks } = set;
    const closed = closedAtMs === 0 ? null : closedAtMs;
    this.inserts.set.run(
      number,
      name,
      state,
      openedAtMs,
      clientTimeMs,
      closed,
      statsColumn(stats),
      marksColumn(marks),
    );
    for (const root of set.roots) this.inserts.setRoot.run(number, root);
    if (set.seal.length > 0) this.seals.putSet(number, set.seal);
  }

  private loadDirectory(found: ImageDirectory): void {
    const { directory, isUnplaced, ...identity } = found;
    const [inode, birthTimeNs] = [found.inode.readBigInt64LE(), found.birthTimeNs.readBigInt64LE()];
    this.directories.add(directory, { ...identity, inode, birthTimeNs });
    if (isUnplaced) this.inserts.unplaced.run(directory);
  }

  private loadEntries(
    item: Extract<ImageItem, { type: 'entries' }>,
    contentOf: (rows: RowReader, at: number) => ContentId | undefined,
  ): void {
    const rows = new RowReader(item.rows);
    let index = 0;
    let nextChild = 0;
    forEachRow(rows, (at) => {
      const isDirectory = rows.type(at) === EntryType.directory;
      const childId = isDirectory ? item.children[nextChild]! : 0;
      if (isDirectory) nextChild += 1;
      this.inserts.entry.run(
        item.directory,
        rows.name(at),
        item.firsts[index]!,
        item.lasts[index]! || null,
        rows.type(at),
        item.flags[index]! & STORED_FLAGS,
        rows.sizeBytes(at),
        contentOf(rows, at) ?? null,
        childId || null,
        metadataOf(rows, at),
      );
      index += 1;
    });
  }
}

function insertsOf(database: SqlDatabase) {
  return {
    root: database.prepare('INSERT OR REPLACE INTO roots VALUES (?, ?, ?, ?)'),
    set: database.prepare('INSERT OR REPLACE INTO backup_sets VALUES (?, ?, ?, ?, ?, ?, ?, ?)'),
    setRoot: database.prepare('INSERT OR IGNORE INTO set_roots VALUES (?, ?)'),
    owner: database.prepare('INSERT OR REPLACE INTO owner_names VALUES (?, ?, ?, ?)'),
    unplaced: database.prepare('INSERT OR IGNORE INTO unplaced_directories VALUES (?)'),
    entry: database.prepare('INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)'),
    seal: database.prepare('INSERT OR REPLACE INTO directory_seals VALUES (?, ?, ?, ?)'),
  };
}
