export * from './collect-garbage.js';
export { type EarlySet, setsToDeleteForSpace } from './early-purge.js';
export { Headroom } from './headroom.js';
export { type MakeRoomOptions, deleteForSpace } from './make-room.js';
export { previewPurgeOf, purgeByRules, type PurgeRequest, retentionSet } from './purge.js';
export { lacksParity, protectStore } from './missing-parity.js';
export type { FrameTools } from './repack-frames.js';
export { requireSoundCatalog, requireSoundUnlocked } from './sound-catalog.js';
export { writeMissingImage, writeImageIfRoom } from './requested-image.js';
