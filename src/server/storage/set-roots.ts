/** The roots of one backup set: found by their paths or made, their own entries kept up to date. */
import { identityOf, ROOTS_DIRECTORY } from '../../catalog/index.js';
import { TardisError } from '../../errors/index.js';
import {
  countRows,
  EntryType,
  joinRow,
  metadataOf,
  RowReader,
  sameAttributes,
  sameMetadata,
} from '../../model/index.js';
import type { RootRecord } from '../../store/index.js';
import type { ClientStore } from './client-store.js';
import type { SetJournal } from './set-journal.js';

export class SetRoots {
  readonly records: readonly RootRecord[];

  /** `rows` holds one row for each path. Throws PROTOCOL_VIOLATION. */
  constructor(store: ClientStore, journal: SetJournal, paths: readonly Buffer[], rows: RowReader) {
    if (paths.length === 0 || countRows(rows) !== paths.length) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a set needs one row for each of its roots');
    }
    let at = 0;
    this.records = paths.map((path) => {
      const record = addRoot(store, journal, path, rows, at);
      at += rows.rowBytes(at);
      return record;
    });
  }

  /** The root that a parent slot below 0 stands for: -1 the first. */
  at(parent: number): RootRecord {
    const root = this.records[-1 - parent];
    if (root === undefined) throw new TardisError('PROTOCOL_VIOLATION', 'a slot of no root');
    return root;
  }
}

function addRoot(
  store: ClientStore,
  journal: SetJournal,
  path: Buffer,
  rows: RowReader,
  at: number,
): RootRecord {
  if (path[0] !== 0x2f || path.includes(0)) {
    throw new TardisError('PROTOCOL_VIOLATION', 'a root is no absolute path');
  }
  if (rows.type(at) !== EntryType.directory) {
    throw new TardisError('PROTOCOL_VIOLATION', 'a root is no directory');
  }
  const { catalog } = store;
  const record = findOrMake(store, path);
  const { root, directory } = record;
  catalog.sets.addRoot(journal.set, record);
  const name = Buffer.from(String(root));
  const row = new RowReader(renamed(rows, at, name));
  const identity = identityOf(root, ROOTS_DIRECTORY, row, 0);
  if (catalog.directories.exists(directory)) catalog.directories.place(directory, identity);
  else catalog.directories.add(directory, identity);
  const head = catalog.entries.findHead(ROOTS_DIRECTORY, name);
  const isSame =
    head !== undefined &&
    sameMetadata(head.metadata, row, 0) &&
    sameAttributes(head.metadata, row, 0);
  if (!isSame) {
    const place = { root, directory: ROOTS_DIRECTORY, isNew: false };
    journal.put(place, row, 0, { contentId: undefined, childId: directory });
  }
  return record;
}

function findOrMake(store: ClientStore, path: Buffer): RootRecord {
  const found = store.catalog.sets.findRoot(path);
  if (found !== undefined) return { ...found, path };
  store.counters.root += 1;
  store.counters.directory += 1;
  return { root: store.counters.root, path, directory: store.counters.directory };
}

/** A copy of a row with another name. */
function renamed(rows: RowReader, at: number, name: Buffer): Buffer {
  return joinRow(metadataOf(rows, at), name, undefined);
}
