export {
  copyClient,
  copyInto,
  type CopyProgress,
  type CopyRequest,
  type CopyResult,
  type CopyStep,
} from './copy.js';
export {
  factsWithoutSnapshot,
  type CopySource,
  localSource,
  type SnapshotFacts,
  takeSnapshot,
} from './copy-source.js';
export type { ClientPlace } from './copy-target.js';
export {
  type CopyFeed,
  type CopyOffer,
  FarSource,
  keysSumOf,
  OFFER_PIECE_BYTES,
  pieceAt,
} from './far-source.js';
export { finishSwitched, forgetHere, type ForgetOptions, requestsDigest } from './forget.js';
export { localFeed } from './local-feed.js';
export { Generations, type Marker, type Stage } from './generations.js';
export { copyWhole, type WholeCopy } from './whole-copy.js';
export { requireOwnPacks } from './own-packs.js';
export {
  rewriteClient,
  type RewriteProgress,
  type RewriteRequest,
  type RewriteResult,
  type RewriteStep,
  removeOld,
} from './job.js';
