export { catchUp, isBehind, isFollowed } from './catch-up.js';
export { CACHE_UMASK, Following } from './following.js';
export { CatalogCopies, copyCatalog, listCopies } from './catalog-copies.js';
export { makeSnapshot } from './make-snapshot.js';
export { takeSnapshot } from './take-snapshot.js';
export { MAX_STORED_BYTES, packPiece, pieceOf, unpackPiece } from './snapshot-pieces.js';
export { StoreWriter, type StoreLimits } from './store-writer.js';
export { markDamaged, type SeenContent, settleMarks } from './damage-marks.js';
export {
  requestForgets,
  dueForgets,
  forgetRequestsOf,
  previewForget,
  requireRequests,
  withdrawForget,
} from './forget-requests.js';
export { formatsFor, ownRulesFor, rulesFor } from './client-rules.js';
export { packOfCatalog } from './known-histories.js';
export { type RebuildOptions, type RebuildReport, rebuildFromPacks } from './rebuild-from-packs.js';
export {
  type CatalogUpgrade,
  removeDatabase,
  replaceCatalog,
  upgradeCatalog,
} from './replace-catalog.js';
export { Reserve } from './reserve.js';
export { NOTHING_RECEIVED, reserveFor, storedSizes } from './reserve-size.js';
export { requireNoSecond, unfinishedRewrite } from './second-generation.js';
export { isOldEnough, seenMoments, type TimedSet } from './set-ages.js';
export { changeSets, deleteSets, markSets, previewDelete } from './set-changes.js';
export { defaultSetName, SetJournal } from './set-journal.js';
export { isClockInDoubt, ageFigures, ageIn } from './monotonic-ages.js';
export { changeSetting, requireSetting } from './settings-changes.js';
export {
  addTo,
  type SharedCount,
  sharedCount,
  type SpaceGrant,
  SpaceMeter,
  valueOf,
} from './space-meter.js';
export { IncomingStream, MAX_OPEN_STREAMS, type StreamStart } from './streams.js';
