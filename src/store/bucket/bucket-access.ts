/** How a store in a bucket is reached, and the directories on this machine that stand for such stores. */
import type { BucketPlace, BucketSettings } from '../objects/index.js';

/** Access to a store in a bucket, as plain data that can be sent to threads. It has no access key: each thread finds it in the environment. */
export interface BucketAccess {
  /** The store as its user names it: s3://BUCKET/PREFIX. */
  readonly shown: string;
  /** URL of the store; unique for each store. */
  readonly address: string;
  /** Directory with what this machine keeps of the store. */
  readonly cache: string;
  readonly place: BucketPlace;
  readonly settings: BucketSettings & {
    readonly isSingleWriter?: boolean;
    /** Days for which each new object is locked; 0 or undefined for none. */
    readonly lockDays?: number;
    /** Bytes of parity for 100 bytes of each object with records; 0 or undefined for none. */
    readonly parityPercent?: number;
    /** Time for which a request is tried again. */
    readonly patienceMs?: number;
  };
}

/** Brings the catalog of a client on this machine up to date with its bucket. */
export type Follow = (client: string) => Promise<void>;

const byCache = new Map<string, BucketAccess>();
const follows = new Map<string, Follow>();

/**
 * Lets a directory stand for a store in a bucket, in this thread: clients that are opened in it lie in the bucket.
 * `follow` serves readers that miss a pack, which another machine may have deleted since.
 */
export function useBucket(access: BucketAccess, follow?: Follow): void {
  byCache.set(access.cache, access);
  if (follow !== undefined) follows.set(access.cache, follow);
}

/** Returns what brings catalogs up to date; undefined if this thread has nothing that does. */
export function followOf({ cache }: BucketAccess): Follow | undefined {
  return follows.get(cache);
}

/** Returns the bucket that a directory stands for; undefined for a store in a directory. */
export function bucketAt(store: string): BucketAccess | undefined {
  return byCache.get(store);
}

/** Returns a store as its user names it. */
export function shownStore(store: string): string {
  return bucketAt(store)?.shown ?? store;
}
