/**
 * The roots of one backup set: found by their paths or made, their own entries kept up to date. A root
 * that had entries and is empty now, or that is another directory on another device than last time, is
 * most likely not mounted: it is held, so that nothing of it is closed, unless the client trusts it.
 */
import { type Catalog, identityOf, ROOTS_DIRECTORY } from '../../catalog/index.js';
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
import { Held, type HeldReason } from '../../transport/index.js';
import type { ClientStore } from '../../keeper/index.js';
import type { SetJournal } from '../../keeper/index.js';

const MAX_DEVICE_CHARS = 64;

/** The roots as a client tells of them; the n-th of each belong together. */
export interface RootsRequest {
  readonly paths: readonly Buffer[];
  readonly rows: Buffer;
  readonly devices: readonly string[];
  /** 1: the directory has no entries. */
  readonly empties: Buffer;
  /** Take them as they are. */
  readonly trust: boolean;
}

export class SetRoots {
  readonly records: readonly RootRecord[];
  /** For each root whether it is held, and why. */
  readonly held: readonly HeldReason[];

  /** `rows` are those of the request, checked. Throws PROTOCOL_VIOLATION. */
  constructor(store: ClientStore, journal: SetJournal, request: RootsRequest, rows: RowReader) {
    const { paths, devices, empties } = request;
    const count = paths.length;
    if (count === 0 || countRows(rows) !== count) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a set needs one row for each of its roots');
    }
    if (devices.length !== count || empties.length !== count) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a set tells not enough of its roots');
    }
    let at = 0;
    const roots = paths.map((path, index) => {
      const device = devices[index]!.slice(0, MAX_DEVICE_CHARS);
      const isEmpty = empties[index] === 1;
      const root = addRoot(store, journal, path, rows, at, { device, isEmpty }, request.trust);
      at += rows.rowBytes(at);
      return root;
    });
    this.records = roots.map(({ record }) => record);
    this.held = roots.map(({ held }) => held);
  }

  /** The root that a parent slot below 0 stands for: -1 the first. */
  at(parent: number): RootRecord {
    const root = this.records[-1 - parent];
    if (root === undefined) throw new TardisError('PROTOCOL_VIOLATION', 'a slot of no root');
    return root;
  }

  /** The numbers of those that are not held. */
  taken(): number[] {
    return this.records
      .filter((_record, index) => this.held[index] === Held.no)
      .map(({ root }) => root);
  }

  /** Nothing is to be taken of it. Throws PROTOCOL_VIOLATION. */
  isHeld(parent: number): boolean {
    this.at(parent);
    return this.held[-1 - parent] !== Held.no;
  }
}

interface Seen {
  readonly device: string;
  readonly isEmpty: boolean;
}

function addRoot(
  store: ClientStore,
  journal: SetJournal,
  path: Buffer,
  rows: RowReader,
  at: number,
  seen: Seen,
  trust: boolean,
): { record: RootRecord; held: HeldReason } {
  if (path[0] !== 0x2f || path.includes(0)) {
    throw new TardisError('PROTOCOL_VIOLATION', 'a root is no absolute path');
  }
  if (rows.type(at) !== EntryType.directory) {
    throw new TardisError('PROTOCOL_VIOLATION', 'a root is no directory');
  }
  const { catalog } = store;
  const found = catalog.sets.findRoot(path);
  const { root, directory } = found ?? newRoot(store);
  const name = Buffer.from(String(root));
  const row = new RowReader(renamed(rows, at, name));
  const held = trust || found === undefined ? Held.no : doubtOf(catalog, found, name, row, seen);
  if (held !== Held.no) {
    const record = { root, path, directory };
    catalog.sets.addRoot(journal.set, record);
    return { record, held };
  }
  const record = { root, path, directory, device: seen.device };
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
  return { record, held };
}

/** Why a root that was taken before should not be taken as it is now. */
function doubtOf(
  catalog: Catalog,
  known: { readonly directory: number; readonly device: string },
  name: Buffer,
  row: RowReader,
  seen: Seen,
): HeldReason {
  const head = catalog.entries.findHead(ROOTS_DIRECTORY, name);
  if (head === undefined || catalog.entries.headNames(known.directory, 1).length === 0) {
    return Held.no; // there is nothing that could be closed
  }
  if (seen.isEmpty) return Held.empty;
  // Numbers of devices change between two starts of a machine, inodes when a directory is made anew:
  // only both together tell of another file system.
  const last = new RowReader(joinRow(head.metadata, name, undefined));
  const isOther = last.inode(0) !== row.inode(0) || last.birthTimeNs(0) !== row.birthTimeNs(0);
  const isElsewhere = known.device !== '' && seen.device !== '' && known.device !== seen.device;
  return isOther && isElsewhere ? Held.otherDevice : Held.no;
}

function newRoot(store: ClientStore): { root: number; directory: number } {
  store.counters.root += 1;
  store.counters.directory += 1;
  return { root: store.counters.root, directory: store.counters.directory };
}

/** A copy of a row with another name. */
function renamed(rows: RowReader, at: number, name: Buffer): Buffer {
  return joinRow(metadataOf(rows, at), name, undefined);
}
