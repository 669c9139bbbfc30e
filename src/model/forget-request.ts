/**
 * A request to delete a path from all sets up to a given set. It is carried out after a delay, during which it can be
 * withdrawn.
 */
import {
  type Check,
  type Checked,
  isBytes,
  isId,
  isInteger,
  isSetNumber,
  mapOf,
  where,
} from './checks.js';
import { SLASH } from './bytes.js';

/** Maximum size of a path. The longest path that a system accepts is much shorter, even when it is sealed. */
const MAX_PATH_BYTES = 128 << 10;
/** Maximum number of requests that one client may have pending. */
export const MAX_FORGET_REQUESTS = 64;

/** True if an untrusted value can be the path of a request: absolute, and not longer than MAX_PATH_BYTES. */
export const isForgetPath: Check<Buffer> = where(
  isBytes,
  (path) => path.length <= MAX_PATH_BYTES && path[0] === SLASH,
);

export const isForgetRequest = mapOf({
  id: where(isId, (id) => id > 0),
  /** Absolute path. If the client encrypts, its names are sealed like those of entries. */
  path: isForgetPath,
  lastSet: where(isSetNumber, (set) => set > 0),
  requestedAtMs: isInteger,
  dueAtMs: isInteger,
});
export type ForgetRequest = Checked<typeof isForgetRequest>;

/** Effects that deleting a path has, or would have now. */
export interface ForgetReport {
  /** Number of versions to be deleted. The pieces of a version that was cut in two are counted separately. */
  readonly versions: number;
  /** Total size of the files among the versions to be deleted. */
  readonly fileBytes: number;
  /** Number of sets that change. */
  readonly sets: number;
  /** Number of locked sets among the sets that change. */
  readonly lockedSets: number;
  /**
   * Number of roots at or below the path. They are kept with their entries, since only paths inside a root can be
   * forgotten.
   */
  readonly rootsBelow: number;
  /** True if the newest set contains the path, so that the source may still have it. */
  readonly isInNewest: boolean;
  /** Number of contents that only the deleted versions need. */
  readonly contents: number;
  /** Total size of these contents before compression. */
  readonly contentBytes: number;
  /** Number of contents of deleted versions that are kept, since other versions use them. */
  readonly heldElsewhere: number;
}
