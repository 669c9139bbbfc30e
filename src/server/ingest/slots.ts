/**
 * Slots: the numbers by which a session identifies directories, so that it need not wait for their ids. The state
 * of a slot exists from its declaration to its last row. Only the id of its directory is kept longer, since child
 * directories refer to their parents by slot.
 */
import { protocolViolation } from '../../errors/index.js';
import {
  type DirectoryId,
  EntryType,
  joinRow,
  MountState,
  mountState,
  type RootNumber,
  RowReader,
  type SlotNumber,
} from '../../model/index.js';
import {
  type Catalog,
  type DirectoryIdentity,
  type FoundDirectory,
  type HeadRow,
  identityOf,
  IdSet,
} from '../../store/catalog/index.js';
import { HEAD_PROTECTED, HEAD_SAME, NO_HASH } from '../../transport/index.js';
import { NewDirectories } from './new-directories.js';

/** Maximum number of slots in a session; the tables take 8 bytes for each. */
const MAX_SLOTS = 1 << 26;

/** Marks the slot of a protected directory, in place of an id. */
const PROTECTED_DIRECTORY: DirectoryId = 0xffff_ffff;

export interface SlotState {
  readonly number: SlotNumber;
  readonly root: RootNumber;
  readonly directory: DirectoryId;
  /** True if the directory had no entries before this session. */
  readonly isNew: boolean;
  readonly hash: Buffer;
  /** The last name in the listing pages so far. */
  listedUpTo: Buffer;
  waitingRows: number;
  isDone: boolean;
  isSettled: boolean;
  /** True if an entry must be read again, though its listing may stay the same. */
  hasUnsettled: boolean;
  /**
   * True if the directory keeps the stored entry of a mount point although its listing has no such entry or a
   * different one.
   */
  hasProtectedMounts: boolean;
  /** The seal to store beside the skip hash. */
  skipSeal: Buffer | undefined;
}

/** The place of a directory. `directory` is its id, which is known in advance only for roots. */
export interface Place {
  readonly root: RootNumber;
  readonly parent: DirectoryId;
  readonly directory?: DirectoryId;
  /** True if the parent had no entries before this session. */
  readonly isParentNew?: boolean;
}

export class Slots {
  private readonly states = new Map<SlotNumber, SlotState>();
  private directories = new Uint32Array(1024);
  private roots = new Uint32Array(1024);
  /** Directories that this set has met. */
  private readonly placed = new IdSet();
  /** Directories that this set shows as they were, with the directories in them. */
  private readonly unchanged = new IdSet();
  /** Directories that had another place before this set. */
  private readonly moved = new IdSet();
  private readonly created = new Set<DirectoryId>();
  readonly fresh: NewDirectories;

  /**
   * Creates the slots. With `isFull`, every directory is listed, whatever its skip hash. With `trustsMounts`, mount
   * points are accepted as they are.
   */
  constructor(
    private readonly catalog: Catalog,
    private readonly isFull: boolean,
    private readonly trustsMounts: boolean,
    private readonly newDirectoryId: () => DirectoryId,
  ) {
    this.fresh = new NewDirectories(catalog);
  }

  /**
   * Opens a slot. Returns HEAD_SAME if the directory's listing is unchanged, HEAD_PROTECTED if it is a mount point
   * without the file system of the last set, and 0 otherwise.
   */
  open(
    number: SlotNumber,
    place: Place,
    { rows, at, hash }: { readonly rows: RowReader; readonly at: number; readonly hash: Buffer },
  ): number {
    if (number >= MAX_SLOTS || this.states.has(number)) {
      throw protocolViolation('a slot is opened twice', { slot: number });
    }
    if (rows.type(at) !== EntryType.directory) {
      throw protocolViolation('the entry of a slot is not a directory', { slot: number });
    }
    const { root, parent } = place;
    let { directory } = place;
    let found: FoundDirectory | undefined;
    if (directory === undefined) {
      const identity = identityOf(root, parent, rows, at);
      found = this.find(identity);
      if (this.isMountProtected(place, found, rows, at)) {
        this.openProtected(number);
        return HEAD_PROTECTED;
      }
      directory = this.take(identity, found);
    }
    // A root counts as placed from the start. Otherwise a bind mount or a snapshot of the root, which looks like
    // it, would make the root its own ancestor.
    if (place.directory !== undefined) this.placed.add(directory);
    this.remember(number, root, directory);
    const isNew = this.created.delete(directory);
    const { directories } = this.catalog;
    const known = isNew || found ? found?.skipHash : directories.skipHash(directory);
    const isSame = known !== undefined && !hash.equals(NO_HASH) && known.equals(hash);
    if (isSame && !this.isFull) {
      this.unchanged.add(directory);
      return HEAD_SAME;
    }
    if (known !== undefined) directories.setSkipHash(directory, undefined);
    this.states.set(number, {
      number,
      root,
      directory,
      isNew,
      hash: Buffer.from(hash),
      listedUpTo: Buffer.alloc(0),
      waitingRows: 0,
      isDone: false,
      isSettled: false,
      hasUnsettled: false,
      hasProtectedMounts: false,
      skipSeal: undefined,
    });
    return 0;
  }

  /**
   * True if a directory is a mount point without the file system of the last set. Reads the stored entry only if
   * the directory is a different one or is empty.
   */
  private isMountProtected(
    place: Place,
    found: FoundDirectory | undefined,
    rows: RowReader,
    at: number,
  ): boolean {
    if (this.trustsMounts || place.isParentNew === true) return false;
    if (found?.isHere === true && mountState(rows, at) !== MountState.empty) return false;
    const known = this.catalog.entries.findHead(place.parent, rows.name(at));
    return known !== undefined && isMountDoubtful(this.catalog, known, rows, at);
  }

  /**
   * True if the stored entry of a mount point should be kept, whatever the listing contains now. `at` is undefined if
   * the entry is missing from the listing.
   */
  isMountKept(known: HeadRow, rows: RowReader, at: number | undefined): boolean {
    if (this.trustsMounts || known.childId === undefined) return false;
    return at === undefined
      ? isMountGone(this.catalog, known)
      : isMountDoubtful(this.catalog, known, rows, at);
  }

  /** Opens a slot for a protected directory; nothing is recorded about it. */
  openProtected(number: SlotNumber): void {
    if (number >= MAX_SLOTS || (this.directories[number] ?? 0) !== 0) {
      throw protocolViolation('a slot is opened twice', { slot: number });
    }
    this.remember(number, 0, PROTECTED_DIRECTORY);
  }

  isProtected(number: SlotNumber): boolean {
    return this.directories[number] === PROTECTED_DIRECTORY;
  }

  /** Returns the state of an open slot. Throws PROTOCOL_VIOLATION. */
  get(number: SlotNumber): SlotState {
    const state = this.states.get(number);
    if (state === undefined) {
      throw protocolViolation('a message refers to no open slot', { slot: number });
    }
    return state;
  }

  directoryOf(number: SlotNumber): DirectoryId {
    const directory = this.directories[number] ?? 0;
    if (directory === 0 || directory === PROTECTED_DIRECTORY) {
      throw protocolViolation('a message refers to no slot', { slot: number });
    }
    return directory;
  }

  /** Returns all directories met so far, except protected ones. */
  met(): Set<DirectoryId> {
    const met = new Set<DirectoryId>(this.directories);
    met.delete(0);
    met.delete(PROTECTED_DIRECTORY);
    return met;
  }

  /** True if an open slot's directory had no entries before this session. */
  isNew(number: SlotNumber): boolean {
    return this.states.get(number)?.isNew === true;
  }

  rootOf(number: SlotNumber): RootNumber {
    return this.roots[number] ?? 0;
  }

  /**
   * Returns the lasting id of a directory: its old id if it is in the same place or was moved within its root, and a
   * new id otherwise. It is called when the directory is declared, and for its row in its parent, in either order.
   */
  resolve(identity: DirectoryIdentity): DirectoryId {
    return this.take(identity, this.find(identity));
  }

  private find(identity: DirectoryIdentity): FoundDirectory | undefined {
    const found = this.catalog.directories.find(
      identity,
      (directory, parent) => this.placed.has(directory) || this.unchanged.has(parent),
    );
    return found ?? (this.trustsMounts ? this.findByName(identity) : undefined);
  }

  /**
   * Returns the directory that had the place of another one in the last set. A set that is taken as it is may be of another
   * disk, or of a copy with the same files: then they are compared with the entries of that directory.
   */
  private findByName({ parent, name }: DirectoryIdentity): FoundDirectory | undefined {
    const directory = this.catalog.entries.findHead(parent, name)?.childId;
    if (directory === undefined || this.placed.has(directory)) return undefined;
    return { directory, isHere: false, skipHash: undefined };
  }

  private take(identity: DirectoryIdentity, found: FoundDirectory | undefined): DirectoryId {
    const { directories } = this.catalog;
    if (found === undefined) {
      const waiting = this.fresh.find(identity);
      if (waiting !== undefined) return waiting;
      const directory = this.newDirectoryId();
      this.fresh.add(directory, identity);
      this.created.add(directory);
      this.placed.add(directory);
      return directory;
    }
    if (found.isHere) directories.forgetUnplaced(found.directory);
    else {
      // Names that are exchanged during a backup let two places show one directory. So the other place is compared again.
      directories.setSkipHash(directories.location(found.directory)!.parent, undefined);
      directories.place(found.directory, identity);
      this.moved.add(found.directory);
    }
    this.placed.add(found.directory);
    return found.directory;
  }

  /**
   * True if a directory had another place before this set. A row that leads to it is then recorded, also if the same row did so
   * before: packs without it would still have the other place.
   */
  hasMoved(directory: DirectoryId | undefined): boolean {
    return directory !== undefined && this.moved.has(directory);
  }

  /** Returns the lasting id of a row's directory, or undefined for other types. */
  childOf(slot: SlotState, rows: RowReader, at: number): DirectoryId | undefined {
    if (rows.type(at) !== EntryType.directory) return undefined;
    return this.resolve(identityOf(slot.root, slot.directory, rows, at));
  }

  /** Ends a slot whose last row is written, and stores its skip hash if it is reliable. */
  settle(state: SlotState): void {
    if (!state.isDone || state.waitingRows > 0) return;
    const isKept = state.hasUnsettled || state.hasProtectedMounts;
    if (state.isSettled && !isKept && !state.hash.equals(NO_HASH)) {
      this.fresh.keepSkip(state.directory, state.hash, state.skipSeal);
    }
    this.states.delete(state.number);
  }

  private remember(number: SlotNumber, root: RootNumber, directory: DirectoryId): void {
    if (number >= this.directories.length) {
      const size = Math.max(this.directories.length * 2, number + 1);
      this.directories = grown(this.directories, size);
      this.roots = grown(this.roots, size);
    }
    this.directories[number] = directory;
    this.roots[number] = root;
  }
}

function grown(array: Uint32Array<ArrayBuffer>, size: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(size);
  larger.set(array);
  return larger;
}

type Known = Pick<HeadRow, 'metadata' | 'childId'>;

const NAME = Buffer.from('x');

/**
 * Returns the known row of a directory if a file system was mounted on it and has entries. If that is no longer mounted, is
 * empty, or is another one, the user has most likely not deleted the files. The stored entries are then kept, like those of
 * a protected root, unless the client trusts the present state.
 */
function mountedBefore(catalog: Catalog, known: Known): RowReader | undefined {
  if (known.childId === undefined) return undefined;
  const row = new RowReader(joinRow(known.metadata, NAME, undefined));
  if (row.type(0) !== EntryType.directory || mountState(row, 0) === MountState.none)
    return undefined;
  return catalog.entries.headNames(known.childId, 1).length > 0 ? row : undefined;
}

/** True if a file system with entries was mounted on a directory, which is now missing from its listing. */
function isMountGone(catalog: Catalog, known: Known): boolean {
  return mountedBefore(catalog, known) !== undefined;
}

/**
 * True if a file system with entries was mounted on a directory, and the directory's new row shows none, an empty one,
 * or another one. File systems in memory are excepted: they are different after each boot.
 */
function isMountDoubtful(catalog: Catalog, known: Known, rows: RowReader, at: number): boolean {
  const before = mountedBefore(catalog, known);
  if (before === undefined) return false;
  const state = rows.type(at) === EntryType.directory ? mountState(rows, at) : MountState.none;
  if (state === MountState.none || state === MountState.empty) return true;
  // A file system in memory is another one after each boot.
  if (state === MountState.memory || mountState(before, 0) === MountState.memory) return false;
  return before.inode(0) !== rows.inode(at) || before.birthTimeNs(0) !== rows.birthTimeNs(at);
}
