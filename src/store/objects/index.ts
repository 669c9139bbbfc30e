export * from './bucket.js';
export type { Environment } from './credentials.js';
export type { BucketSettings } from './endpoint.js';
export * from './object-store.js';
export {
  type BucketAbilities,
  isMultipart,
  type ObjectVersion,
  type ObjectVersions,
} from './object-versions.js';
export { probe } from './probe.js';
