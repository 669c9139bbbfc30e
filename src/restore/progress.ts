/** What a restore counts and tells, whatever it writes to. */
import type { WireError } from '../errors/index.js';

export interface RestoreProgress {
  directories: number;
  files: number;
  links: number;
  bytes: number;
  /** What was there already and is the same. */
  unchanged: number;
  /** What was there already, differs, and stays as it was wished. */
  kept: number;
  /** Left out by --include and --exclude, without what is below. */
  leftOut: number;
  failures: number;
  /** Bytes that came from a server for contents; 0 where the store is on this machine. */
  fetchedBytes: number;
}

export function newRestoreProgress(): RestoreProgress {
  return {
    directories: 0,
    files: 0,
    links: 0,
    bytes: 0,
    unchanged: 0,
    kept: 0,
    leftOut: 0,
    failures: 0,
    fetchedBytes: 0,
  };
}

export interface RestoreFailure {
  readonly path: Buffer;
  readonly error: WireError;
  /** The content (or part of one) that is damaged, if that is what is wrong. */
  readonly digest: Buffer | undefined;
}

/** Of a file whose content nobody has. */
export function missingContent(): WireError {
  return { code: 'CONTENT_DAMAGED', message: 'its content is not in the store', context: {} };
}
