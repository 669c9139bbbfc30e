/** Errors of files and directories, of the store and of others. */
import { row } from './error-row.js';

export const FILE_ERRORS = {
  STORE_NOT_WRITABLE: row(
    'environment',
    1,
    'Give a directory that you may write to, or create one that you own (`sudo install -d -o "$USER" DIR`). Check the owner and mode of the store, that it is not mounted read-only, and that the file that is named is not immutable (lsattr -d).',
  ),
  STORE_NOT_READABLE: row(
    'environment',
    1,
    'Check the owner and mode of the store, and that a directory that the file system encrypts is unlocked.',
  ),
  STORE_WITHOUT_LOCKS: row(
    'environment',
    1,
    'Mount the file system with locks (NFS: start its lock service, or the option local_lock=flock if no other machine uses the store), or put the store on another one: without locks, two programs could write to a client at once.',
  ),
  STORE_UNSAFE: row(
    'environment',
    1,
    'Find out who created the file that is named, and remove it: the directory of a client may contain only plain files and directories. To keep a part elsewhere, use a bind mount.',
  ),
  CACHE_NOT_WRITABLE: row(
    'environment',
    1,
    'Check owner and mode of the directory for caches, or set XDG_CACHE_HOME to a directory that you may write to. Nothing in the bucket is wrong.',
  ),
  ACCESS_REFUSED: row(
    'environment',
    1,
    'Check owner and mode of the path that is named and of the directories above it, that nothing but a directory is in the place of one, that the file system is not mounted read-only, and that the file is not immutable (lsattr -d).',
  ),
  DISK_FULL: row(
    'environment',
    1,
    'Free space on the disk that is named, then run again; what was acknowledged is kept, and the new run continues.',
  ),
  TEMPORARY_FULL: row(
    'environment',
    1,
    'Free space in the directory for temporary files that is named, or set TMPDIR to one with enough space.',
  ),
  FILE_TOO_LARGE: row(
    'environment',
    1,
    'Raise the limit of file sizes (ulimit -f, LimitFSIZE= of a unit), or use a file system that takes larger files.',
  ),
  TOO_MANY_OPEN_FILES: row(
    'environment',
    1,
    'Raise the limit of open files (ulimit -n, LimitNOFILE= of a unit) to 256 or more, then run again.',
  ),
  OUT_OF_MEMORY: row(
    'environment',
    1,
    'Free memory, or raise the limit of memory (ulimit -v, MemoryMax= of a unit), then run again.',
  ),
  IO_FAILED: row(
    'environment',
    1,
    'Check the disk, its cable, the network or the program behind the mount, and the system log (dmesg); then run again. The disk or the file system failed, whatever is stored on it: rebuild nothing because of this error alone.',
  ),
} as const;
