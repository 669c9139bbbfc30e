export {
  type BackupHooks,
  type BackupRequest,
  type BackupResult,
  runBackup,
} from './backup.js';
export { rawRules, type RawWishes } from './raw-rules.js';
export { readRoots } from './roots.js';
export { ByteSink } from './byte-sink.js';
export { ContentReader } from './content-reader.js';
export { type LocalServer, startLocalServer } from './local-server.js';
export { type PathFilter, pathFilter } from './restore-filter.js';
export { type PolicyOptions, RestorePolicy } from './restore-policy.js';
export {
  newRestoreProgress,
  type RestoreFailure,
  type RestoreProgress,
} from './restore-progress.js';
export { type RestoreRequest, type RestoreResult, runRestore } from './restore.js';
export { type TarRequest, writeTar } from './restore-tar.js';
export {
  TAR_BLOCK_BYTES,
  tarEnd,
  type TarEntry,
  tarHeader,
  tarPadding,
  TarType,
} from './tar-format.js';
