export { copyClient, copyInto, type CopyProgress, type CopyResult, type CopyStep } from './copy.js';
export type { Creation } from './copy-target.js';
export {
  factsWithoutSnapshot,
  type CopySource,
  keysSumAt,
  keysSumOf,
  localSource,
  OfferedCatalog,
  type SnapshotFacts,
  takeSnapshot,
} from './copy-source.js';
export * from './remote-source.js';
export { finishSwitched, forgetHere, requestsDigest } from './forget.js';
export { localFeed } from './local-feed.js';
export { Generations, requireOwnPacks } from './generations.js';
export { copyWhole } from './whole-copy.js';
export { rewriteClient, type RewriteProgress, type RewriteResult, removeOld } from './job.js';
