export { LOST_AND_FOUND, placeOrphans } from './orphans.js';
export { type BucketRebuild, rebuildCatalog, rebuildInBucket } from './rebuild.js';
