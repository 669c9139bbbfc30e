/**
 * Reads the commits of a log of commit objects in order. An object exists whole or not at all, and all that it covers
 * was durable before it, so no commit is dropped, and nothing is synced.
 */
import { TardisError } from '../../errors/index.js';
import type { PackNumber } from '../../model/index.js';
import { lastPackUpTo, logPack, parseCommitObject } from '../index.js';
import type { PendingCommit } from './commit-walk.js';
import type { CommitPoint } from './state.js';

/** The part of a backend that has a log. */
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
  readonly damagedRecords = 0;
  readonly isMetadataLost = false;
  readonly strangePacks: readonly number[] = [];
  private readonly log: CommitLog;
  private point: CommitPoint;

  constructor(log: CommitLog, point: CommitPoint) {
    this.log = log;
    this.point = point;
  }

  /** The highest number that a pack of a session can have whose claim is known, committed or not. */
  get lastPack(): PackNumber {
    return lastPackUpTo(this.point.commit);
  }

  /** Yields the commits behind the known one. Throws STORE_FORKED, RECORD_DAMAGED, STORE_NEWER. */
  async *commits(): AsyncGenerator<PendingCommit> {
    for (;;) {
      const number = this.point.commit + 1;
      const bytes = await this.log.commitObject(number);
      if (bytes === undefined) return;
      const { body, records, checksum } = parseCommitObject(bytes, number);
      const pack = logPack(number);
      const point = { commit: number, pack, position: bytes.length, checksum };
      const follows = body.previous === this.point.checksum;
      if (!follows) {
        const what = `commit ${number} in the bucket follows another one than this machine knows`;
        throw new TardisError('STORE_FORKED', what);
      }
      this.point = point;
      yield {
        body,
        records,
        point,
        gaps: 0,
        follows,
        matches: true,
        isLast: false,
        isDurable: true,
      };
    }
  }
}
