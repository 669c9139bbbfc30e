/** How a store in a bucket is reached, and the directories on this machine that stand for such stores. */
import type { BucketPlace, BucketSettings } from '../objects/index.js';

/** Plain data that crosses threads. It has no keys: each thread finds them in the environment. */
export interface BucketAccess {
  /** The store as its user names it: s3://BUCKET/PREFIX. */
  readonly shown: string;
  /** URL of the store, which differs for different stores. */
  readonly address: string;
  /** Directory with what this machine keeps of the store. */
  readonly cache: string;
  readonly place: BucketPlace;
  readonly settings: BucketSettings & {
    readonly isSingleWriter?: boolean;
    /** Time for which a request is tried again. */
    readonly patienceMs?: number;
  };
}

const byCache = new Map<string, BucketAccess>();

/** Lets a directory stand for a store in a bucket, in this thread: clients that are opened in it lie in the bucket. */
export function useBucket(access: BucketAccess): void {
  byCache.set(access.cache, access);
}

/** Returns the bucket that a directory stands for; undefined for a store in a directory. */
export function bucketAt(store: string): BucketAccess | undefined {
  return byCache.get(store);
}

/** Returns a store as its user names it. */
export function shownStore(store: string): string {
  return bucketAt(store)?.shown ?? store;
}
