export { catchUp, inNewest, isBehind, untilUndisturbed } from './catch-up.js';
export { CACHE_UMASK, Following } from './following.js';
export { makeSnapshot } from './make-snapshot.js';
export { takeSnapshot } from './take-snapshot.js';
export {
  fetchPieces,
  MAX_STORED_BYTES,
  packPiece,
  pieceOf,
  unpackPiece,
} from './snapshot-pieces.js';
export { StoreWriter, type StoreLimits, withWriter } from './store-writer.js';
export { markDamaged, type SeenContent, settleMarks } from './damage-marks.js';
export * from './forget-requests.js';
export { formatsFor, ownRulesFor, rulesFor } from './client-rules.js';
export { packOfCatalog } from './known-histories.js';
export { type RebuildOptions, type RebuildReport, rebuildFromPacks } from './rebuild-from-packs.js';
export * from './replace-catalog.js';
export { Reserve } from './reserve.js';
export { NOTHING_RECEIVED, reserveFor, storedSizes } from './reserve-size.js';
export { requireNoSecond, unfinishedRewrite } from './second-generation.js';
export { changeSets, deleteSets, markSets, previewDelete } from './set-changes.js';
export { SetJournal } from './set-journal.js';
export { isClockInDoubt, ageFigures, ageIn } from './monotonic-ages.js';
export { changeSetting, requireSetting } from './settings-changes.js';
export * from './space-meter.js';
export { IncomingStream, MAX_OPEN_STREAMS, type StreamStart } from './streams.js';
