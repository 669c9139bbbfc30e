/**
 * Directories that a set has declared, but to which no row leads yet. They enter the catalog with the first row that
 * leads to them or lies in them. Otherwise a client could fill a catalog with declarations alone, which no pack
 * contains and no quota counts.
 */
import type { DirectoryId } from '../../model/index.js';
import type { Catalog, DirectoryIdentity } from '../../store/catalog/index.js';
import { protocolViolation } from '../../errors/index.js';

/**
 * Maximum number of declared directories that wait for a row. Clients have fewer in flight, since their budget counts
 * entries.
 */
const MAX_WAITING_DIRECTORIES = 1 << 20;

interface Waiting {
  readonly identity: DirectoryIdentity;
  readonly key: string;
  skipHash: Buffer | undefined;
  skipSeal: Buffer | undefined;
}

export class NewDirectories {
  private readonly waiting = new Map<DirectoryId, Waiting>();
  private readonly byKey = new Map<string, DirectoryId>();
  /** Directories in the catalog that contain rows, and to which no row leads yet. */
  private readonly unplaced = new Set<DirectoryId>();

  constructor(private readonly catalog: Catalog) {}

  find(identity: DirectoryIdentity): DirectoryId | undefined {
    return this.waiting.size === 0 ? undefined : this.byKey.get(keyOf(identity));
  }

  /** Registers a directory that is not in the catalog. Throws PROTOCOL_VIOLATION if there are too many. */
  add(directory: DirectoryId, identity: DirectoryIdentity): void {
    if (this.waiting.size >= MAX_WAITING_DIRECTORIES) {
      const text = `more than ${MAX_WAITING_DIRECTORIES} directories are named and in no listing`;
      throw protocolViolation(text);
    }
    const key = keyOf(identity);
    const name = Buffer.from(identity.name); // a copy, so that its whole message need not stay in memory
    this.waiting.set(directory, {
      identity: { ...identity, name },
      key,
      skipHash: undefined,
      skipSeal: undefined,
    });
    this.byKey.set(key, directory);
  }

  /** Records that a row leads to a directory. */
  place(directory: DirectoryId): void {
    this.enter(directory);
    this.unplaced.delete(directory);
  }

  /** Records that a row lies in a directory. */
  fill(directory: DirectoryId): void {
    if (this.enter(directory)) this.unplaced.add(directory);
  }

  /** Stores the skip hash and the seal of a listing; undefined leaves the old value. */
  keepSkip(directory: DirectoryId, hash: Buffer | undefined, seal: Buffer | undefined): void {
    const waiting = this.waiting.get(directory);
    if (waiting !== undefined) {
      waiting.skipHash = hash ?? waiting.skipHash;
      waiting.skipSeal = seal ?? waiting.skipSeal;
      return;
    }
    if (hash !== undefined) this.catalog.directories.setSkipHash(directory, hash);
    if (seal !== undefined) this.catalog.seals.setSkipSeal(directory, seal);
  }

  /**
   * Marks as unplaced each directory that contains rows but to which no row leads. Its entries are then closed. Called
   * at the end of a set.
   */
  giveUp(): void {
    for (const directory of this.unplaced) {
      const location = this.catalog.directories.location(directory);
      if (location === undefined) continue;
      this.catalog.directories.unplace(directory, location.parent, location.name);
    }
    this.unplaced.clear();
  }

  /** Moves a directory into the catalog. Returns true if it was not there before. */
  private enter(directory: DirectoryId): boolean {
    const waiting = this.waiting.get(directory);
    if (waiting === undefined) return false;
    this.waiting.delete(directory);
    this.byKey.delete(waiting.key);
    this.catalog.directories.add(directory, waiting.identity);
    this.keepSkip(directory, waiting.skipHash, waiting.skipSeal);
    return true;
  }
}

function keyOf({ root, parent, name, inode, birthTimeNs }: DirectoryIdentity): string {
  return `${root} ${parent} ${inode} ${birthTimeNs} ${name.toString('latin1')}`;
}
