export { memoryOf, runOf } from './block-builder.js';
export { InlineJobs } from './inline.js';
export type * from './jobs.js';
export { NO_RECORD, PLACE_NUMBERS } from './jobs.js';
export { JobPool, type PoolOptions } from './pool.js';
export type { RawRules } from './raw-types.js';
export { SharedDigests } from './recent-digests.js';
export { blockMemory, packBlock, RACY_WINDOW_NS, sliceBlock } from './walk-job.js';
