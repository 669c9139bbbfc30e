export { changeKeys } from './key-change.js';
export { ClientStore, type StoreLimits } from './client-store.js';
export { Ingest } from './ingest.js';
export { defaultSetName, SetJournal } from './set-journal.js';
export { IncomingStream, type StreamStart } from './streams.js';
export {
  InlineStorageHost,
  type StorageHandle,
  type StorageHost,
  ThreadStorageHost,
} from './storage-host.js';
export type { SpaceTaken } from './measure-space.js';
export {
  addTo,
  type SharedCount,
  sharedCount,
  type SpaceGrant,
  SpaceMeter,
  valueOf,
} from './space-meter.js';
export { type StorageOptions, StorageSession } from './storage-session.js';
