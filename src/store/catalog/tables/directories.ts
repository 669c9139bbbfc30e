/** Directories: their permanent ids, their last known places, and their skip hashes. */
import type { DirectoryId, RootNumber } from '../../../model/index.js';
import type { SqlDatabase } from '../../../system/index.js';

/** The directory that holds the entries of the roots; their names are the root numbers. */
export const ROOTS_DIRECTORY: DirectoryId = 0;

/** The facts by which a directory is recognized again within its root. */
export interface DirectoryIdentity {
  readonly root: RootNumber;
  readonly parent: DirectoryId;
  readonly name: Buffer;
  readonly inode: bigint;
  readonly birthTimeNs: bigint;
}

export interface FoundDirectory {
  readonly directory: DirectoryId;
  /** False if the directory was last met under another parent or name. */
  readonly isHere: boolean;
  readonly skipHash: Buffer | undefined;
}

export class DirectoryTable {
  private readonly statements;
  /** True if a directory may be unplaced. If false, no row needs to be deleted. */
  private mayHaveUnplaced = false;

  constructor(database: SqlDatabase) {
    this.statements = {
      byInode: database.query(
        `SELECT directory_id, parent_id, name, skip_hash FROM directories
         WHERE root_id = ? AND inode = ? AND birth_time_ns = ?
           AND (birth_time_ns <> 0 OR (parent_id = ? AND name = ?))`,
        ['integer', 'integer', 'blob', 'blob?'],
      ),
      insert: database.prepare(
        `INSERT OR REPLACE INTO directories VALUES (?, ?, ?, ?, ?, ?, NULL)`,
      ),
      place: database.prepare(
        `UPDATE directories SET parent_id = ?, name = ?, inode = ?, birth_time_ns = ?
         WHERE directory_id = ?`,
      ),
      skipHash: database.query('SELECT skip_hash FROM directories WHERE directory_id = ?', 'blob?'),
      setSkipHash: database.prepare('UPDATE directories SET skip_hash = ? WHERE directory_id = ?'),
      forgetSkipHashes: database.prepare('UPDATE directories SET skip_hash = NULL'),
      unplaceStranded: database.prepare(
        `INSERT OR IGNORE INTO unplaced_directories
         SELECT directory_id FROM directories WHERE parent_id > 0
           AND EXISTS (SELECT 1 FROM entries
             WHERE entries.directory_id = directories.directory_id AND last_set IS NULL)
           AND NOT EXISTS (SELECT 1 FROM entries
             WHERE entries.directory_id = parent_id AND entries.name = directories.name
               AND last_set IS NULL AND child_id = directories.directory_id)`,
      ),
      unplace: database.prepare('INSERT OR IGNORE INTO unplaced_directories VALUES (?)'),
      replace: database.prepare('DELETE FROM unplaced_directories WHERE directory_id = ?'),
      nextUnplaced: database.query(
        `SELECT directory_id FROM unplaced_directories JOIN directories USING (directory_id)
         WHERE root_id = ? LIMIT 1`,
        'integer',
      ),
      anyUnplaced: database.query('SELECT 1 FROM unplaced_directories LIMIT 1', 'integer'),
      location: database.query(
        'SELECT parent_id AS parent, name FROM directories WHERE directory_id = ?',
        { parent: 'integer', name: 'blob' },
      ),
    };
    this.lookForUnplaced();
  }

  /** Determines if any directory is unplaced. Must also be called after rows were inserted elsewhere. */
  lookForUnplaced(): void {
    this.mayHaveUnplaced = this.statements.anyUnplaced.get() !== undefined;
  }

  /**
   * Returns the id of the directory met at parent/name, or undefined for a new one. An id is kept only if inode and
   * birth time match and it may leave its last parent (`isKept`: this set has met it elsewhere, or shows that parent as it was).
   * Without a birth time, the directory must also be at its last place: a file system without birth times may use one inode
   * number for all.
   */
  find(
    identity: DirectoryIdentity,
    isKept: (directory: DirectoryId, parent: DirectoryId) => boolean,
  ): FoundDirectory | undefined {
    let moved: FoundDirectory | undefined;
    const candidates = this.statements.byInode.all(
      identity.root,
      BigInt.asIntN(64, identity.inode),
      identity.birthTimeNs,
      identity.parent,
      identity.name,
    );
    for (const [directory, parent, name, skipHash] of candidates) {
      const isHere = parent === identity.parent && name.equals(identity.name);
      const found = { directory, isHere, skipHash: skipHash ?? undefined };
      if (isHere) return found;
      if (!isKept(directory, parent)) moved ??= found;
    }
    return moved;
  }

  add(directory: DirectoryId, identity: DirectoryIdentity): void {
    this.statements.insert.run(
      directory,
      identity.root,
      identity.parent,
      identity.name,
      BigInt.asIntN(64, identity.inode),
      identity.birthTimeNs,
    );
  }

  /** Records the current place of a directory. */
  place(directory: DirectoryId, identity: DirectoryIdentity): void {
    this.statements.place.run(
      identity.parent,
      identity.name,
      BigInt.asIntN(64, identity.inode),
      identity.birthTimeNs,
      directory,
    );
    this.forgetUnplaced(directory);
  }

  exists(directory: DirectoryId): boolean {
    return this.location(directory) !== undefined;
  }

  skipHash(directory: DirectoryId): Buffer | undefined {
    return this.statements.skipHash.get(directory) ?? undefined;
  }

  setSkipHash(directory: DirectoryId, hash: Uint8Array | undefined): void {
    this.statements.setSkipHash.run(hash ?? null, directory);
  }

  /** Deletes all skip hashes, so that the next backup compares every directory. */
  forgetSkipHashes(): void {
    this.statements.forgetSkipHashes.run();
  }

  /**
   * Marks a directory as unplaced after its entry parent/name was closed. If the set does not meet the
   * directory elsewhere, its subtree is closed at the end of the set.
   */
  unplace(directory: DirectoryId, parent: DirectoryId, name: Buffer): void {
    const location = this.location(directory);
    if (location === undefined) return;
    if (location.parent !== parent || !location.name.equals(name)) return;
    this.statements.unplace.run(directory);
    this.mayHaveUnplaced = true;
  }

  /**
   * Marks directories as unplaced if they have open entries but no open entry leads to them. An interrupted set may
   * have recorded the contents of a directory but not its place. If the next set did not meet the directory, nothing
   * else would close those entries. Must also be called if the previous set is missing: it may have been interrupted,
   * and deleted since.
   */
  unplaceStranded(): void {
    this.statements.unplaceStranded.run();
    this.mayHaveUnplaced = true;
  }

  /** Returns an unplaced directory of the root, or undefined. */
  nextUnplaced(root: RootNumber): DirectoryId | undefined {
    return this.statements.nextUnplaced.get(root);
  }

  forgetUnplaced(directory: DirectoryId): void {
    if (this.mayHaveUnplaced) this.statements.replace.run(directory);
  }

  /** Returns the last known parent and name of a directory; the parent is 0 for a root. */
  location(directory: DirectoryId): { parent: DirectoryId; name: Buffer } | undefined {
    return this.statements.location.get(directory);
  }
}
