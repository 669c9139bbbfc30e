/**
 * Reads the commits of a log of commit objects in order. An object exists whole or not at all, and all that it covers
 * was durable before the object was written. So no commit is dropped, and nothing is synced.
 */
import { asTardisError, TardisError } from '../../../errors/index.js';
import type { PackNumber } from '../../../model/index.js';
import {
  type Backend,
  lastPackUpTo,
  logPack,
  parseCommitObject,
  requireNotMoved,
} from '../../index.js';
import { CommitWalk, type PendingCommit, type WalkStart } from './commit-walk.js';
import type { CommitPoint } from '../tables/state.js';

/** Errors of a commit object that cannot be used. */
export const LOG_DAMAGE: ReadonlySet<string> = new Set([
  'RECORD_DAMAGED',
  'OBJECT_DAMAGED',
  'STORE_FORKED',
]);

/**
 * Number of commits before the newest known one that are looked for whenever a catalog is opened. They fit in one page
 * of a list.
 */
const NEAR_COMMITS = 256;

/** A commit object in a list. */
export interface ListedCommit {
  readonly commit: number;
  readonly sizeBytes: number;
}

/** A backend whose commits are objects of a log. */
export interface CommitLog {
  commitObject(commit: number): Promise<Buffer | undefined>;
  /** Lists the commit objects after the one with a number, in ascending order. */
  commitsAfter(commit: number): AsyncIterable<ListedCommit>;
  /** Returns the sizes of all packs that may be deleted. */
  removablePacks(): Promise<ReadonlyMap<PackNumber, number>>;
}

/** True if commits are objects of their own in this backend. */
export function hasLog(backend: object): backend is CommitLog {
  return 'commitObject' in backend;
}

/**
 * Throws STORE_FORKED if a log lacks a commit that was in it: the one at `point`, one of those shortly before it (with
 * `isWhole`: any before it), or one before a later one. Throws CLIENT_MOVED if the object of `point` shows another
 * generation. Sends one request for 1,000 commits.
 */
export async function requireCommits(
  log: CommitLog,
  { commit, position }: CommitPoint,
  isWhole: boolean,
): Promise<void> {
  const from = isWhole ? 0 : Math.max(0, commit - NEAR_COMMITS);
  const lost = await firstLost(log, { from, commit, position });
  if (lost === undefined) return;
  const there = commit === 0 ? undefined : await log.commitObject(commit);
  if (there !== undefined) requireNotMoved(there);
  throw new TardisError('STORE_FORKED', `the bucket lacks commit ${lost}`);
}

/**
 * Returns the first number after `from` that has no commit, although a later number has one or is at most `commit`;
 * undefined if there is none. The object of `commit` must have at least `position` bytes.
 */
async function firstLost(
  log: CommitLog,
  { from, commit, position }: Pick<CommitPoint, 'commit' | 'position'> & { readonly from: number },
): Promise<number | undefined> {
  let last = from;
  // A list may lack objects, so each number that is not listed is tried.
  const isLost = async (number: number): Promise<boolean> => {
    const bytes = await log.commitObject(number);
    return bytes === undefined || (number === commit && bytes.length < position);
  };
  for await (const listed of log.commitsAfter(from)) {
    while (last + 1 < listed.commit) if (await isLost((last += 1))) return last;
    last = listed.commit;
    if (last === commit && listed.sizeBytes < position) return last;
  }
  while (last < commit) if (await isLost((last += 1))) return last;
  return undefined;
}

class LogWalk {
  /** Number of damaged records: 1 if a thorough walk ended at a commit object that cannot be used. */
  damagedRecords = 0;
  isMetadataLost = false;
  readonly strangePacks: readonly PackNumber[] = [];
  private point: CommitPoint;
  private readonly isThorough: boolean;

  constructor(
    private readonly log: CommitLog,
    { point, isThorough }: Pick<WalkStart, 'point' | 'isThorough'>,
  ) {
    this.point = point;
    this.isThorough = isThorough;
  }

  /**
   * The highest number that a pack can have: that of the last session whose claim is in the log, even if the session
   * has committed nothing.
   */
  get lastPack(): PackNumber {
    return lastPackUpTo(this.point.commit);
  }

  /**
   * Yields the commits after the known one. Throws CLIENT_MOVED if the log ends since a rewrite made another
   * generation, and STORE_NEWER for a newer format. Throws RECORD_DAMAGED or OBJECT_DAMAGED for a damaged commit
   * object, and STORE_FORKED if a commit does not follow the one before it; a thorough walk ends there without an
   * error.
   */
  async *commits(): AsyncGenerator<PendingCommit> {
    for (let next = await this.next(); next !== undefined; next = await this.next()) {
      this.point = next.point;
      yield next;
    }
  }

  private async next(): Promise<PendingCommit | undefined> {
    try {
      return await this.commitAfter(this.point);
    } catch (error) {
      if (!this.isThorough || !LOG_DAMAGE.has(asTardisError(error).code)) throw error;
      this.damagedRecords += 1;
      this.isMetadataLost = true;
      return undefined;
    }
  }

  private async commitAfter({ commit, checksum }: CommitPoint): Promise<PendingCommit | undefined> {
    const number = commit + 1;
    const bytes = await this.log.commitObject(number);
    if (bytes === undefined) return undefined;
    requireNotMoved(bytes);
    const { body, records, checksum: own, endBytes } = parseCommitObject(bytes, number);
    if (body.previous !== checksum) {
      const what = `commit ${number} in the bucket follows another one than this machine knows`;
      throw new TardisError('STORE_FORKED', what);
    }
    const point = { commit: number, pack: logPack(number), position: endBytes, checksum: own };
    const state = { gaps: 0, follows: true, matches: true, isLast: false, isDurable: true };
    return { body, records, point, ...state };
  }
}

/** The start of a thorough walk of all commits. */
export const FIRST_COMMIT: WalkStart = Object.freeze({
  point: Object.freeze({ commit: 0, pack: 0, position: 0, checksum: 0 }),
  sequence: 0,
  isThorough: true,
});

/** Returns a walk of the commits after a known one. It reads the log if the backend has one, otherwise the packs. */
export function walkCommits(backend: Backend, start: WalkStart): CommitWalk | LogWalk {
  return hasLog(backend) ? new LogWalk(backend, start) : new CommitWalk(backend, start);
}
