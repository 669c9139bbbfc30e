/** What a client is to forget: a path in all sets up to one, once a time in which that can be taken back is over. */

export interface ForgetRequest {
  readonly id: number;
  /** Absolute; its names sealed as those of entries, where the client encrypts. */
  readonly path: Buffer;
  readonly lastSet: number;
  readonly askedAtMs: number;
  readonly dueAtMs: number;
}

/** Sealed, a path of the longest that a system takes is still much shorter. */
const MAX_PATH_BYTES = 128 << 10;
/** Of one client, at a time. */
export const MAX_FORGET_REQUESTS = 64;

/** Whether something of unknown origin is a path that can be forgotten. */
export function isForgetPath(value: unknown): value is Buffer {
  return Buffer.isBuffer(value) && value.length <= MAX_PATH_BYTES && value[0] === 0x2f;
}

/** Whether something of unknown origin is a request. */
export function isForgetRequest(value: unknown): value is ForgetRequest {
  if (typeof value !== 'object' || value === null) return false;
  const { id, path, lastSet, askedAtMs, dueAtMs } = value as Partial<ForgetRequest>;
  return (
    [id, lastSet].every((number) => Number.isSafeInteger(number) && number! > 0) &&
    [askedAtMs, dueAtMs].every((time) => Number.isSafeInteger(time)) &&
    isForgetPath(path)
  );
}

/** What goes with a path, were it forgotten now. */
export interface ForgetReport {
  /** Versions of names that go; of one that is cut in two, each piece. */
  readonly versions: number;
  /** Of those that are files: how large they are together. */
  readonly fileBytes: number;
  /** Sets that change. */
  readonly sets: number;
  /** Of them those that are locked. */
  readonly lockedSets: number;
  /** Roots that are the path, or below it: what they hold is no path in a set, and stays. */
  readonly rootsBelow: number;
  /** The path is in the newest set of all: it may still be at its source. */
  readonly isInNewest: boolean;
  /** Contents that nothing else holds, and what they were before they were compressed. */
  readonly contents: number;
  readonly contentBytes: number;
  /** Contents that stay, since something else holds them too. */
  readonly heldElsewhere: number;
}
