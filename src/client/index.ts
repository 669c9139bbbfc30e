export {
  type BackupHooks,
  type BackupRequest,
  type BackupResult,
  notEncrypting,
  runBackup,
} from './backup.js';
export { type KeysRequest, withKeys } from './keys.js';
export type { LocalServer, LocalServerOnDemand } from './local-server.js';
export { MessageMarks } from './message-marks.js';
export { rawRules } from './uncompressed-rules.js';
export { missingFailures, readRoots, type Root, rootFiles, rootTasks } from './roots.js';
export { type Settled, untilSettled } from './settling.js';
