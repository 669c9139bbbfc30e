/** Directories: their lasting ids, where they were last met, and their skip hashes. */
import type { SqlDatabase } from '../system/index.js';

/** The directory that holds the roots' own entries, named by their root numbers. */
export const ROOTS_DIRECTORY = 0;

/** What tells one directory from another within a root. */
export interface DirectoryIdentity {
  readonly root: number;
  readonly parent: number;
  readonly name: Buffer;
  readonly inode: bigint;
  readonly birthTimeNs: bigint;
}

export interface FoundDirectory {
  readonly directory: number;
  /** False when it was last met under another parent or name. */
  readonly isHere: boolean;
}

interface Candidate {
  directory_id: bigint;
  parent_id: bigint;
  name: Buffer;
  birth_time_ns: bigint;
}

export class DirectoryTable {
  private readonly statements;
  /** False: no directory is unplaced, so none needs to be looked for. */
  private mayHaveUnplaced: boolean;

  constructor(database: SqlDatabase) {
    this.statements = {
      byInode: database
        .prepare(
          `SELECT directory_id, parent_id, name, birth_time_ns FROM directories
           WHERE root_id = ? AND inode = ?`,
        )
        .safeIntegers(),
      insert: database.prepare(
        `INSERT OR REPLACE INTO directories VALUES (?, ?, ?, ?, ?, ?, NULL)`,
      ),
      place: database.prepare(
        `UPDATE directories SET parent_id = ?, name = ?, inode = ?, birth_time_ns = ?
         WHERE directory_id = ?`,
      ),
      skipHash: database
        .prepare('SELECT skip_hash FROM directories WHERE directory_id = ?')
        .pluck(),
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
      nextUnplaced: database
        .prepare(
          `SELECT directory_id FROM unplaced_directories JOIN directories USING (directory_id)
           WHERE root_id = ? LIMIT 1`,
        )
        .pluck(),
      location: database.prepare(
        'SELECT parent_id AS parent, name FROM directories WHERE directory_id = ?',
      ),
    };
    const any = database.prepare('SELECT 1 FROM unplaced_directories LIMIT 1');
    this.mayHaveUnplaced = any.get() !== undefined;
  }

  /**
   * The id of the directory met at parent/name, or undefined for a new one. An id is kept only if
   * inode and birth time match and this set has not met the directory elsewhere (`isPlaced`).
   */
  find(
    identity: DirectoryIdentity,
    isPlaced: (directory: number) => boolean,
  ): FoundDirectory | undefined {
    let moved: FoundDirectory | undefined;
    const candidates = this.statements.byInode.all(
      identity.root,
      BigInt.asIntN(64, identity.inode),
    ) as Candidate[];
    for (const candidate of candidates) {
      if (candidate.birth_time_ns !== identity.birthTimeNs) continue;
      const isHere =
        Number(candidate.parent_id) === identity.parent && candidate.name.equals(identity.name);
      const directory = Number(candidate.directory_id);
      if (isHere) return { directory, isHere };
      if (!isPlaced(directory)) moved ??= { directory, isHere };
    }
    return moved;
  }

  add(directory: number, identity: DirectoryIdentity): void {
    this.statements.insert.run(
      directory,
      identity.root,
      identity.parent,
      identity.name,
      BigInt.asIntN(64, identity.inode),
      identity.birthTimeNs,
    );
  }

  /** Notes that the directory is here now. */
  place(directory: number, identity: DirectoryIdentity): void {
    this.statements.place.run(
      identity.parent,
      identity.name,
      BigInt.asIntN(64, identity.inode),
      identity.birthTimeNs,
      directory,
    );
    this.forgetUnplaced(directory);
  }

  exists(directory: number): boolean {
    return this.location(directory) !== undefined;
  }

  skipHash(directory: number): Buffer | undefined {
    return (this.statements.skipHash.get(directory) as Buffer | null | undefined) ?? undefined;
  }

  setSkipHash(directory: number, hash: Uint8Array | undefined): void {
    this.statements.setSkipHash.run(hash ?? null, directory);
  }

  /** Of all directories: the next backup compares every one. */
  forgetSkipHashes(): void {
    this.statements.forgetSkipHashes.run();
  }

  /**
   * The entry parent/name that led to it was closed: unless it was, or will be, met elsewhere, its
   * subtree goes with the set's end.
   */
  unplace(directory: number, parent: number, name: Buffer): void {
    const location = this.location(directory);
    if (location === undefined) return;
    if (location.parent !== parent || !location.name.equals(name)) return;
    this.statements.unplace.run(directory);
    this.mayHaveUnplaced = true;
  }

  /**
   * A set that was broken off may have told what is in a directory, but not where it is. Unless such
   * a directory is met in the next set, nothing else would ever close what is in it. Also when the set before
   * is no longer there: it may have been broken off, and deleted since.
   */
  unplaceStranded(): void {
    this.statements.unplaceStranded.run();
    this.mayHaveUnplaced = true;
  }

  /** One directory of the root that was placed nowhere, or undefined. */
  nextUnplaced(root: number): number | undefined {
    return this.statements.nextUnplaced.get(root) as number | undefined;
  }

  forgetUnplaced(directory: number): void {
    if (this.mayHaveUnplaced) this.statements.replace.run(directory);
  }

  /** Its parent and name, as last met; parent 0 for a root. */
  location(directory: number): { parent: number; name: Buffer } | undefined {
    return this.statements.location.get(directory) as { parent: number; name: Buffer } | undefined;
  }
}
