/** Counters and failures of a restore, for any kind of target. */
import type { WireError } from '../errors/index.js';

export type RestoreProgress = ReturnType<typeof newRestoreProgress>;

/** Returns the counters of a restore that has restored nothing. */
export function newRestoreProgress() {
  return {
    directories: 0,
    files: 0,
    links: 0,
    bytes: 0,
    /** Number of entries that existed already and are equal. */
    unchanged: 0,
    /** Number of entries that existed already, differ, and stay as requested. */
    kept: 0,
    /** Number of entries that --include and --exclude omit. The entries below them are not counted. */
    leftOut: 0,
    failures: 0,
    /** Number of bytes of contents fetched from a server; 0 if the store is on this machine. */
    fetchedBytes: 0,
  };
}

export interface RestoreFailure {
  readonly path: Buffer;
  readonly error: WireError;
  /** Digest of the damaged content, or of its damaged part; undefined for other failures. */
  readonly digest: Buffer | undefined;
}

/** Returns the error for a file whose content is missing. */
export function missingContent(): WireError {
  return {
    code: 'CONTENT_DAMAGED',
    message: 'its content is not in the store, or not at its place in the catalog',
    context: {},
  };
}
