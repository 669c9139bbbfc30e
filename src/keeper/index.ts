export { type CatalogCopy, CatalogCopies, copyCatalog, listCopies } from './catalog-copies.js';
export { ClientStore, type StoreLimits } from './client-store.js';
export { type EarlyPurgeWish, type EarlySet, setsToPurgeEarly } from './early-purge.js';
export { type EarlyWish, purgeEarly } from './make-room.js';
export {
  previewPurgeOf,
  purgeByRules,
  type PurgeReport,
  type PurgeWish,
} from './purge.js';
export { Reserve, type ReserveLimits } from './reserve.js';
export { markDamaged, type SeenContent, settleMarks } from './damage-marks.js';
export { rebuildCatalog, type RebuildReport } from './maintenance.js';
export { LOST_AND_FOUND, placeOrphans } from './orphans.js';
export { defaultSetName, SetJournal } from './set-journal.js';
export type { ChangedDirectory } from './set-journal.js';
export {
  addTo,
  type SharedCount,
  sharedCount,
  type SpaceGrant,
  SpaceMeter,
  valueOf,
} from './space-meter.js';
export {
  type FinishedStream,
  IncomingStream,
  MAX_OPEN_STREAMS,
  type StreamStart,
} from './streams.js';
export type { FrameTools } from './remake.js';
export {
  askToForget,
  dueForgets,
  forgetRequestsOf,
  previewForget,
  requireRequests,
  withdrawForget,
} from './forget-requests.js';
export { changeSetting, requireSetting } from './settings-changes.js';
export { changeSets, dropSets, markSets, previewDrop } from './set-changes.js';
export {
  keepUp,
  type UpkeepOptions,
  type UpkeepReport,
  type UpkeepStep,
} from './upkeep.js';
export { isClockInDoubt, STAMP_FIGURES, stampFigures } from './set-stamps.js';
