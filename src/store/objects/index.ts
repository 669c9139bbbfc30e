export { addressOf, type Bucket, type BucketOptions, DAY_MS, openBucket } from './bucket.js';
export type { Environment } from './credentials.js';
export type { Addressing, BucketSettings } from './endpoint.js';
export {
  isListPrefix,
  isObjectKey,
  type ListedObject,
  MAX_KEY_BYTES,
  type ObjectBody,
  type ObjectHead,
  type ObjectSource,
  type ObjectStore,
  type PutOptions,
} from './object-store.js';
export {
  type Ability,
  type BucketAbilities,
  isMultipart,
  type ObjectVersion,
  type ObjectVersions,
} from './object-versions.js';
export { type BucketPlace, parseStorePlace, shownBucket, type StorePlace } from './place.js';
export { probe } from './probe.js';
