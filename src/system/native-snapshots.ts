/** The calls of the native addon that make snapshots, and that open directories in them. Only the main thread makes these calls. */
export interface SnapshotCalls {
  /**
   * Opens the directory at `path` and all below it in the open directory `fd` from now on, under their paths, in all calls that
   * open a directory without following links, and in `statRow` for a path that is read. Without `fd`, opens them where they are, although a directory
   * above is redirected. Its row in listings is that of the live entry; so one above must be redirected before it.
   * `sinceMs` is the time of the oldest snapshot.
   */
  redirect(path: Buffer, fd: number | undefined, sinceMs: number): void;
  endRedirects(): void;
  /** True if a path is opened in a snapshot. */
  isRedirected(path: Buffer): boolean;
  /** Returns the `sinceMs` of the first redirection; undefined if nothing is redirected. */
  redirectedSince(): number | undefined;
  /** Describes the subvolume that an open file is in, for `readSubvolume`. Fails with ENOTTY where there are no subvolumes. */
  subvolumeOf(fd: number): Buffer;
  /**
   * Returns the paths of the subvolumes directly in one, from its top `fd`, each ended by a NUL. Leaves out those with a path
   * longer than the system accepts.
   */
  subvolumesIn(fd: number): Buffer;
  /** Makes a snapshot that cannot be written, of the subvolume with the open top `topFd`, under a name in a directory. */
  makeSnapshot(dirFd: number, topFd: number, name: Buffer): void;
  /** Deletes the subvolume that has a name in a directory. The caller must have found out which one that is. */
  deleteSnapshot(dirFd: number, name: Buffer): void;
}

/** A subvolume of btrfs. */
export interface Subvolume {
  /** Its identifier, and that of the subvolume of which it is a snapshot. */
  readonly id: Buffer;
  readonly parentId: Buffer;
  /** True if nobody can write to it. */
  readonly isFixed: boolean;
}

const ID_BYTES = 16;

/** Returns the subvolume that an answer of `subvolumeOf` describes. */
export function readSubvolume(bytes: Buffer): Subvolume {
  const [id, parentId] = [bytes.subarray(0, ID_BYTES), bytes.subarray(ID_BYTES, 2 * ID_BYTES)];
  return { id, parentId, isFixed: bytes[2 * ID_BYTES] === 1 };
}
