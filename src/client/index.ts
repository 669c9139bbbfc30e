export {
  type BackupHooks,
  type BackupRequest,
  type BackupResult,
  runBackup,
} from './backup.js';
export { rawRules, type RawWishes } from './raw-rules.js';
export { readRoots } from './roots.js';
export { type LocalServer, startLocalServer } from './local-server.js';
export {
  type RestoreFailure,
  type RestoreProgress,
  type RestoreRequest,
  runRestore,
} from './restore.js';
