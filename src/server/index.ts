export { Daemon, type DaemonOptions } from './daemon.js';
export { markDamaged, rebuildCatalog } from './maintenance.js';
export {
  ClientStore,
  InlineStorageHost,
  type StorageHost,
  type StorageOptions,
  ThreadStorageHost,
} from './storage/index.js';
