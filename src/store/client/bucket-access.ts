/** Access to stores in buckets, and the directories on this machine that stand for such stores. */
import type { BucketPlace } from '../../config/index.js';
import type { BucketSettings } from '../objects/index.js';

/**
 * Access to a store in a bucket, as plain data that can be sent to threads. It contains no access key: each thread
 * reads the key from the environment.
 */
export interface BucketAccess {
  /** Name of the store as its user gives it: s3://BUCKET/PREFIX. */
  readonly shown: string;
  /** URL of the store; unique for each store. */
  readonly address: string;
  /** Directory for the files of the store that this machine keeps. */
  readonly cache: string;
  readonly place: BucketPlace;
  readonly settings: BucketSettings & {
    readonly isSingleWriter?: boolean;
    /** Number of days for which each new object is locked; 0 or undefined for none. */
    readonly lockDays?: number;
    /** Number of bytes of parity for 100 bytes of each object with records; 0 or undefined for none. */
    readonly parityPercent?: number;
    /** Maximum time for which a request is retried. */
    readonly patienceMs?: number;
  };
}

/** Function that updates the catalog of a client on this machine from its bucket. */
type Follow = (client: string) => Promise<void>;

const byCache = new Map<string, BucketAccess>();
const follows = new Map<string, Follow>();

/**
 * Makes a directory stand for a store in a bucket, in this thread: clients that are opened in it lie in the bucket.
 * `follow` updates the catalog for readers that miss a pack, which another machine may have deleted.
 */
export function useBucket(access: BucketAccess, follow?: Follow): void {
  byCache.set(access.cache, access);
  if (follow !== undefined) follows.set(access.cache, follow);
}

/** Returns the function that updates catalogs; undefined if this thread has none. */
export function followOf({ cache }: BucketAccess): Follow | undefined {
  return follows.get(cache);
}

/** Returns the bucket that a directory stands for; undefined for a store in a directory. */
export function bucketAt(store: string): BucketAccess | undefined {
  return byCache.get(store);
}

/** Returns the name of a store as its user gives it. */
export function shownStore(store: string): string {
  return bucketAt(store)?.shown ?? store;
}
