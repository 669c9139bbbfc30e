export { type BucketRebuild, rebuildInBucket } from './bucket.js';
export { LOST_AND_FOUND, placeOrphans } from './orphans.js';
export { rebuildCatalog } from './rebuild.js';
