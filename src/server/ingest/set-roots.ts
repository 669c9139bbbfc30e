/**
 * The roots of one backup set. Each root is found by its path or created, and its own entry is updated. A root that had
 * entries and is now empty, or is now another directory on another device, is most likely not mounted. It is protected,
 * so that none of its entries are closed, unless the client trusts it.
 */
import { type Catalog, identityOf, ROOTS_DIRECTORY } from '../../store/catalog/index.js';
import { protocolViolation } from '../../errors/index.js';
import {
  countRows,
  type DirectoryId,
  EntryType,
  hiddenRoot,
  joinRow,
  metadataOf,
  type RootNumber,
  RowReader,
  sameAttributes,
  sameMetadata,
  type SlotNumber,
} from '../../model/index.js';
import type { RootRecord } from '../../store/index.js';
import { Protection, type ProtectionReason } from '../../transport/index.js';
import type { StoreWriter } from '../../store/writer/index.js';
import type { SetJournal } from '../../store/writer/index.js';

const MAX_DEVICE_CHARS = 64;

/** The roots in a client's request; the lists are parallel. */
export interface RootsRequest {
  readonly paths: readonly Buffer[];
  readonly rows: Buffer;
  readonly devices: readonly string[];
  /** One byte for each root: 1 if the directory has no entries. */
  readonly empties: Buffer;
  /** True to accept all roots as they are, even those that look empty or foreign. */
  readonly trust: boolean;
}

export class SetRoots {
  readonly records: readonly RootRecord[];
  /** For each root, the reason why it is protected; empty if it is not. */
  readonly protection: readonly ProtectionReason[];

  /** Finds or creates the roots; `rows` are the checked rows of the request. Throws PROTOCOL_VIOLATION. */
  constructor(store: StoreWriter, journal: SetJournal, request: RootsRequest, rows: RowReader) {
    const { paths, devices, empties } = request;
    const count = paths.length;
    if (count === 0 || countRows(rows) !== count) {
      throw protocolViolation('a set needs one row for each of its roots');
    }
    if (devices.length !== count || empties.length !== count) {
      throw protocolViolation('paths, devices and empties of roots differ in length');
    }
    if (hiddenRoot(paths) !== undefined) throw protocolViolation('a root hides another one');
    let at = 0;
    const roots = paths.map((path, index) => {
      const device = devices[index]!.slice(0, MAX_DEVICE_CHARS);
      const isEmpty = empties[index] === 1;
      const root = addRoot(store, journal, {
        path,
        rows,
        at,
        device,
        isEmpty,
        isTrusted: request.trust,
      });
      at += rows.rowBytes(at);
      return root;
    });
    this.records = roots.map(({ record }) => record);
    this.protection = roots.map(({ protection }) => protection);
  }

  /** Returns the root for a parent slot below 0; -1 is the first root. */
  at(parent: SlotNumber): RootRecord {
    const root = this.records[-1 - parent];
    if (root === undefined) throw protocolViolation('the slot belongs to no root');
    return root;
  }

  /** Returns the numbers of the roots that are not protected. */
  taken(): RootNumber[] {
    return this.records
      .filter((_record, index) => this.protection[index] === Protection.no)
      .map(({ root }) => root);
  }

  /** True if a root is protected. Throws PROTOCOL_VIOLATION. */
  isProtected(parent: SlotNumber): boolean {
    this.at(parent);
    return this.protection[-1 - parent] !== Protection.no;
  }
}

/** The state of a root as the client reports it. */
interface Seen {
  readonly device: string;
  readonly isEmpty: boolean;
}

/** A root of the set; its row is at `at`. */
interface GivenRoot extends Seen {
  readonly path: Buffer;
  readonly rows: RowReader;
  readonly at: number;
  /** True if the root is accepted as it is, even if it looks empty or foreign. */
  readonly isTrusted: boolean;
}

function addRoot(
  store: StoreWriter,
  journal: SetJournal,
  given: GivenRoot,
): { record: RootRecord; protection: ProtectionReason } {
  const { path, rows, at, isTrusted } = given;
  if (path[0] !== 0x2f || path.includes(0)) {
    throw protocolViolation('the path of a root is not absolute');
  }
  if (rows.type(at) !== EntryType.directory) throw protocolViolation('a root is not a directory');
  const { catalog } = store;
  const found = catalog.sets.findRoot(path);
  const { root, directory } = found ?? newRoot(store);
  const name = Buffer.from(String(root));
  const row = new RowReader(renamed(rows, at, name));
  const isKept = isTrusted || found === undefined;
  const protection = isKept ? Protection.no : doubtOf(catalog, found, row, given);
  if (protection !== Protection.no) {
    const record = { root, path, directory };
    catalog.sets.addRoot(journal.set, record);
    return { record, protection };
  }
  const record = { root, path, directory, device: given.device };
  catalog.sets.addRoot(journal.set, record);
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
  return { record, protection };
}

/** Returns the reason for protecting a known root, or `Protection.no`. */
function doubtOf(
  catalog: Catalog,
  known: { readonly directory: DirectoryId; readonly device: string },
  row: RowReader,
  seen: Seen,
): ProtectionReason {
  const name = row.name(0);
  const head = catalog.entries.findHead(ROOTS_DIRECTORY, name);
  if (head === undefined || catalog.entries.headNames(known.directory, 1).length === 0) {
    return Protection.no; // it has no entries that could be closed
  }
  if (seen.isEmpty) return Protection.empty;
  // Device numbers may change at a boot, and an inode when a directory is created again. Only both together
  // indicate another file system.
  const last = new RowReader(joinRow(head.metadata, name, undefined));
  const isOther = last.inode(0) !== row.inode(0) || last.birthTimeNs(0) !== row.birthTimeNs(0);
  const isElsewhere = known.device !== '' && seen.device !== '' && known.device !== seen.device;
  return isOther && isElsewhere ? Protection.otherDevice : Protection.no;
}

function newRoot(store: StoreWriter): { root: RootNumber; directory: DirectoryId } {
  store.counters.root += 1;
  store.counters.directory += 1;
  return { root: store.counters.root, directory: store.counters.directory };
}

/** Returns a copy of a row with another name. */
function renamed(rows: RowReader, at: number, name: Buffer): Buffer {
  return joinRow(metadataOf(rows, at), name, undefined);
}
