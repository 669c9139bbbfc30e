/**
 * Slots: the numbers by which a session names directories, so that it need not wait for their ids.
 * A slot's state lives from its head to its last row; only its directory's id outlives that, since
 * child directories name their parents by slot.
 */
import { type Catalog, type DirectoryIdentity, identityOf } from '../../catalog/index.js';
import { TardisError } from '../../errors/index.js';
import { type RowReader, EntryType } from '../../model/index.js';
import { NO_HASH } from '../../transport/index.js';

/** A session names fewer directories than this (the tables take 8 bytes for each). */
const MAX_SLOTS = 1 << 26;

/** In place of an id. */
const HELD_DIRECTORY = 0xffff_ffff;

export interface SlotState {
  readonly number: number;
  readonly root: number;
  readonly directory: number;
  /** The directory had no entries before this session. */
  readonly isNew: boolean;
  readonly hash: Buffer;
  /** The last name of the listing pages so far. */
  listedUpTo: Buffer;
  waitingRows: number;
  isDone: boolean;
  isSettled: boolean;
  /** What is kept beside the skip hash. */
  skipSeal: Buffer | undefined;
}

/** Where a directory stands; `directory` is known beforehand for roots. */
export interface Place {
  readonly root: number;
  readonly parent: number;
  readonly directory?: number;
}

export class Slots {
  private readonly states = new Map<number, SlotState>();
  private directories = new Uint32Array(1024);
  private roots = new Uint32Array(1024);
  /** One bit for each directory id met in this set. */
  private placed = new Uint8Array(1024);
  private readonly created = new Set<number>();
  private readonly catalog: Catalog;
  private readonly newDirectoryId: () => number;
  private readonly isFull: boolean;

  /** `isFull`: every directory is listed, whatever its skip hash. */
  constructor(catalog: Catalog, isFull: boolean, newDirectoryId: () => number) {
    this.catalog = catalog;
    this.isFull = isFull;
    this.newDirectoryId = newDirectoryId;
  }

  /** Opens a slot; true when the directory's listing is known to be unchanged. */
  open(number: number, place: Place, rows: RowReader, at: number, hash: Buffer): boolean {
    if (number >= MAX_SLOTS || this.states.has(number)) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a slot is opened twice', { slot: number });
    }
    if (rows.type(at) !== EntryType.directory) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a slot is no directory', { slot: number });
    }
    const { root, parent } = place;
    const directory =
      place.directory ??
      this.resolve({
        root,
        parent,
        name: rows.name(at),
        inode: rows.inode(at),
        birthTimeNs: rows.birthTimeNs(at),
      });
    this.remember(number, root, directory);
    const isNew = this.created.delete(directory);
    const known = isNew ? undefined : this.catalog.directories.skipHash(directory);
    const isSame = known !== undefined && !hash.equals(NO_HASH) && known.equals(hash);
    if (isSame && !this.isFull) return true;
    if (known !== undefined) this.catalog.directories.setSkipHash(directory, undefined);
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
      skipSeal: undefined,
    });
    return false;
  }

  /** A directory of a root that is held, of which nothing is to be known. */
  openHeld(number: number): void {
    if (number >= MAX_SLOTS || (this.directories[number] ?? 0) !== 0) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a slot is opened twice', { slot: number });
    }
    this.remember(number, 0, HELD_DIRECTORY);
  }

  isHeld(number: number): boolean {
    return this.directories[number] === HELD_DIRECTORY;
  }

  /** The state of an open slot. Throws PROTOCOL_VIOLATION. */
  get(number: number): SlotState {
    const state = this.states.get(number);
    if (state === undefined) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a message names no open slot', { slot: number });
    }
    return state;
  }

  directoryOf(number: number): number {
    const directory = this.directories[number] ?? 0;
    if (directory === 0 || directory === HELD_DIRECTORY) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a message names no slot', { slot: number });
    }
    return directory;
  }

  /** All directories that were met so far, but for held ones. */
  met(): Set<number> {
    const met = new Set<number>(this.directories);
    met.delete(0);
    met.delete(HELD_DIRECTORY);
    return met;
  }

  rootOf(number: number): number {
    return this.roots[number] ?? 0;
  }

  /**
   * The lasting id of a directory: kept when it is where it was or was moved within its root, else a
   * new one. Called for its head and for its row in its parent, in either order.
   */
  resolve(identity: DirectoryIdentity): number {
    const { directories } = this.catalog;
    const found = directories.find(identity, (id) => this.isPlaced(id));
    if (found === undefined) {
      const directory = this.newDirectoryId();
      directories.add(directory, identity);
      this.created.add(directory);
      this.markPlaced(directory);
      return directory;
    }
    if (!found.isHere) directories.place(found.directory, identity);
    else directories.forgetUnplaced(found.directory);
    this.markPlaced(found.directory);
    return found.directory;
  }

  /** The lasting id of the directory a row stands for, or undefined for other types. */
  childOf(slot: SlotState, rows: RowReader, at: number): number | undefined {
    if (rows.type(at) !== EntryType.directory) return undefined;
    return this.resolve(identityOf(slot.root, slot.directory, rows, at));
  }

  /** Ends a slot whose last row is written; keeps its skip hash if nothing speaks against it. */
  settle(state: SlotState): void {
    if (!state.isDone || state.waitingRows > 0) return;
    if (state.isSettled && !state.hash.equals(NO_HASH)) {
      this.catalog.directories.setSkipHash(state.directory, state.hash);
      if (state.skipSeal !== undefined) {
        this.catalog.seals.setSkipSeal(state.directory, state.skipSeal);
      }
    }
    this.states.delete(state.number);
  }

  private remember(number: number, root: number, directory: number): void {
    if (number >= this.directories.length) {
      const size = Math.max(this.directories.length * 2, number + 1);
      this.directories = grown(this.directories, size);
      this.roots = grown(this.roots, size);
    }
    this.directories[number] = directory;
    this.roots[number] = root;
  }

  private isPlaced(directory: number): boolean {
    return ((this.placed[directory >>> 3] ?? 0) & (1 << (directory & 7))) !== 0;
  }

  private markPlaced(directory: number): void {
    const at = directory >>> 3;
    if (at >= this.placed.length) {
      const larger = new Uint8Array(Math.max(this.placed.length * 2, at + 1));
      larger.set(this.placed);
      this.placed = larger;
    }
    this.placed[at]! |= 1 << (directory & 7);
  }
}

function grown(array: Uint32Array<ArrayBuffer>, size: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(size);
  larger.set(array);
  return larger;
}
