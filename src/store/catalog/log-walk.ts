/**
 * Reads the commits of a log of commit objects in order. An object exists whole or not at all, and all that it covers
 * was durable before the object was written. So no commit is dropped, and nothing is synced.
 */
import { asTardisError, TardisError } from '../../errors/index.js';
import type { PackNumber } from '../../model/index.js';
import { lastPackUpTo, logPack, parseCommitObject, requireNotMoved } from '../index.js';
import type { PendingCommit, WalkStart } from './commit-walk.js';
import type { CommitPoint } from './state.js';

/** Errors of a commit object that cannot be used. */
export const LOG_DAMAGE: ReadonlySet<string> = new Set([
  'RECORD_DAMAGED',
  'OBJECT_DAMAGED',
  'STORE_FORKED',
]);

/** A backend whose commits are objects of a log. */
export interface CommitLog {
  commitObject(commit: number): Promise<Buffer | undefined>;
  /** Returns the sizes of all packs that may be deleted. */
  removablePacks(): Promise<ReadonlyMap<PackNumber, number>>;
}

/** True if commits are objects of their own in this backend. */
export function hasLog(backend: object): backend is CommitLog {
  return 'commitObject' in backend;
}

export class LogWalk {
  /** Number of damaged records: 1 if a thorough walk ended at a commit object that cannot be used. */
  damagedRecords = 0;
  isMetadataLost = false;
  readonly strangePacks: readonly PackNumber[] = [];
  private readonly log: CommitLog;
  private point: CommitPoint;
  private readonly isThorough: boolean;

  constructor(log: CommitLog, { point, isThorough }: Pick<WalkStart, 'point' | 'isThorough'>) {
    this.log = log;
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
