/**
 * Versions of the objects of a store, and the locks that keep them (Object Lock). Names are relative to the prefix of
 * the store, as those of `ObjectStore`. Each method may reject with an error of a bucket.
 */
import type { ObjectSource } from './object-store.js';

export interface ObjectVersions {
  /**
   * Lists the versions of all objects below a prefix that is empty or ends with `/`. They are sorted by name; of each
   * name the newest version comes first. Names that `isObjectKey` refuses are left out. Rejects with
   * BUCKET_ANSWER_INVALID for a list that is not sorted, does not end, or has other names.
   */
  list(prefix: string): AsyncIterable<ObjectVersion>;
  /**
   * Returns the bytes of a version, all checked against its checksum. Returns undefined if the version has no checksum,
   * so that it was not written by this software. Rejects with OBJECT_DAMAGED if the bytes differ from the checksum,
   * which is in the error's context as `sha256`.
   */
  source(version: ObjectVersion): Promise<ObjectSource | undefined>;
  /** Makes `body` the current version of an object, and locks it. The call may be repeated. */
  putAgain(name: string, body: ObjectSource): Promise<void>;
  /**
   * Returns the time until which a version is locked, in ms since 1970; 0 if it is not locked, or not in the mode
   * COMPLIANCE.
   */
  lockedUntilMs(version: VersionName): Promise<number>;
  /** Locks a version (mode COMPLIANCE) for `retainMs` from now, by the clock of the store. Never shortens a lock. */
  lockFor(version: ObjectVersion, retainMs: number): Promise<void>;
  /** Returns the time by the clock of the store, exact to a second. */
  nowMs(): number;
  /** Returns the abilities that the bucket reports. */
  abilities(): Promise<BucketAbilities>;
}

export interface VersionName {
  readonly name: string;
  /** Undefined for the current version. */
  readonly id?: string;
}

export interface ObjectVersion extends VersionName {
  readonly id: string;
  /** True for the version that a request without a version id returns. */
  readonly isLatest: boolean;
  /** True for a delete marker. It has no bytes. */
  readonly isMark: boolean;
  readonly sizeBytes: number;
  /** Time, by the clock of the store, at which the version was stored, in ms since 1970. */
  readonly modifiedMs: number;
  /** Tag of the bytes. Equal tags mean equal bytes; equal bytes may have different tags. Empty for a delete marker. */
  readonly tag: string;
}

/**
 * An ability of a bucket. It is `unknown` if the access key may not query it, or if the service does not support the
 * query.
 */
export type Ability = 'yes' | 'no' | 'unknown';

export interface BucketAbilities {
  /** `yes` if objects of the bucket can be locked. */
  readonly locks: Ability;
  /** `yes` if the bucket keeps versions. */
  readonly versions: Ability;
}

/** True for a version that was uploaded in several parts. Programs of this package never do that. */
export function isMultipart({ tag }: ObjectVersion): boolean {
  return /-\d+"?$/.test(tag);
}
