export {
  type BackupHooks,
  type BackupRequest,
  type BackupResult,
  notEncrypting,
  runBackup,
} from './backup.js';
export { type KeysRequest, type KeysResult, withKeys } from './keys.js';
export { type Credentials, NO_CREDENTIALS } from '../login/index.js';
export { type LocalServer, type LocalServerOnDemand, startLocalServer } from './local-server.js';
export { rawRules, type RawWishes } from './raw-rules.js';
export { readRoots } from './roots.js';
export { MessageMarks } from './message-marks.js';
