export { changeKeys } from './key-change.js';
export { Ingest } from './ingest.js';
export {
  InlineStorageHost,
  type SideWorkFailed,
  type StorageHandle,
  type StorageHost,
  ThreadStorageHost,
} from './storage-host.js';
export type { ClientStanding, GoodSet, StoreFigures } from './client-standing.js';
export type { SpaceTaken } from './measure-space.js';
export type { StorageOptions } from './storage-options.js';
export { StorageSession } from './storage-session.js';
export type { ServerPurge, UpkeepDone, UpkeepWork } from './upkeep-work.js';
