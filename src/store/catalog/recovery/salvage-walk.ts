/**
 * Reads the commits of a log in which some are damaged, lost, or do not follow the ones before them. It uses every
 * whole commit object in the order of the numbers, and records the numbers that have none.
 */
import { asTardisError, recordDamaged } from '../../../errors/index.js';
import type { PackNumber } from '../../../model/index.js';
import {
  type CommitObject,
  lastPackUpTo,
  logPack,
  parseCommitObject,
  readLabel,
  requireNotMoved,
} from '../../index.js';
import type { PendingCommit } from './commit-walk.js';
import { type CommitLog, LOG_DAMAGE } from './log-walk.js';
import type { CommitPoint } from '../tables/state.js';

/**
 * Maximum number of missing commits in total. An object whose number is much higher than that of the last commit does
 * not belong to this client.
 */
const MAX_LOST_COMMITS = 10_000;

const DAMAGED = 'damaged';

/** A log whose owner may be known. */
export interface ListedLog extends CommitLog {
  /** Returns the id of the client that owns the log; undefined if it is not known. */
  owner(): string | undefined;
}

/** A commit that cannot be used. */
export interface LostCommit {
  readonly commit: number;
  readonly why: 'damaged' | 'missing';
}

export class SalvageWalk {
  damagedRecords = 0;
  isMetadataLost = false;
  readonly strangePacks: readonly PackNumber[] = [];
  /** Commits that cannot be used, in ascending order of their numbers. */
  readonly lost: LostCommit[] = [];
  /** Numbers of intact commits that do not follow the commit before them. */
  readonly strays: number[] = [];
  /** The highest number of any object in the log. */
  lastCommit: number;

  /** Creates a walk from `point`, the last known commit, which may itself be lost; zeros if there is none. */
  constructor(
    private readonly log: ListedLog,
    private point: CommitPoint,
  ) {
    this.lastCommit = point.commit;
  }

  get lastPack(): PackNumber {
    return lastPackUpTo(this.lastCommit);
  }

  /**
   * Yields the usable commits after the known one. Throws CLIENT_MOVED if the log ends since a rewrite made another
   * generation, STORE_NEWER for a newer format, and RECORD_DAMAGED if more commits are missing than a rebuild
   * tolerates.
   */
  async *commits(): AsyncGenerator<PendingCommit> {
    for await (const number of this.numbers()) {
      const commit = await this.commit(number);
      if (commit === undefined) continue;
      this.point = commit.point;
      yield commit;
    }
  }

  /**
   * Yields all numbers up to that of the last object. A list of the bucket may lack objects, so each number is tried.
   * Throws RECORD_DAMAGED if more commits are missing before an object than a rebuild tolerates.
   */
  private async *numbers(): AsyncGenerator<number> {
    for await (const { commit: listed } of this.log.commitsAfter(0)) {
      if (listed - this.lastCommit + this.lost.length > MAX_LOST_COMMITS) {
        const what = `more than ${MAX_LOST_COMMITS} commits are missing before commit ${listed}`;
        throw recordDamaged(`${what}: bring them back, or remove that object`);
      }
      while (this.lastCommit < listed) yield (this.lastCommit += 1);
    }
    while ((await this.read(this.lastCommit + 1)) !== undefined) yield (this.lastCommit += 1);
  }

  private async commit(number: number): Promise<PendingCommit | undefined> {
    let bytes = await this.read(number);
    if (bytes === undefined) return this.lose(number, 'missing');
    if (bytes === DAMAGED) bytes = await this.read(number); // it may have been damaged in transfer
    const found = Buffer.isBuffer(bytes) ? this.parse(bytes, number) : undefined;
    if (found === undefined) return this.lose(number, 'damaged');
    const { body, records, checksum, endBytes } = found;
    const { commit, checksum: previous } = this.point;
    const follows = commit + 1 === number && body.previous === previous;
    if (commit + 1 === number && !follows) {
      // This commit or the one before it is of another state of the store.
      this.strays.push(number);
      this.damagedRecords += 1;
      this.isMetadataLost = true;
    }
    const point = { commit: number, pack: logPack(number), position: endBytes, checksum };
    const state = { gaps: 0, matches: true, isLast: false, isDurable: true };
    return { body, records, point, follows, ...state };
  }

  /** Returns a commit object; undefined if there is none with this number, DAMAGED if it cannot be used. */
  private async read(number: number): Promise<Buffer | typeof DAMAGED | undefined> {
    try {
      return await this.log.commitObject(number);
    } catch (error) {
      if (!LOG_DAMAGE.has(asTardisError(error).code)) throw error;
      return DAMAGED;
    }
  }

  /** Returns the parts of a commit object; undefined if it is damaged, or of another client. */
  private parse(bytes: Buffer, number: number): CommitObject | undefined {
    requireNotMoved(bytes);
    try {
      const found = parseCommitObject(bytes, number);
      const [owner, client] = [this.log.owner(), readLabel(bytes)?.client];
      const isOther = owner !== undefined && client !== undefined && client !== owner;
      return isOther ? undefined : found;
    } catch (error) {
      if (!LOG_DAMAGE.has(asTardisError(error).code)) throw error;
      return undefined;
    }
  }

  private lose(commit: number, why: LostCommit['why']): undefined {
    this.lost.push({ commit, why });
    this.damagedRecords += 1;
    this.isMetadataLost = true;
    return undefined;
  }
}
