export { accountOf, ACCOUNTS_DIRECTORY, parseAccount } from './accounts.js';
export { type AttemptLimits, Attempts, DEFAULT_ATTEMPTS } from './attempts.js';
export { type CertificateFiles, readCertificate } from './certificate.js';
export { Daemon, type DaemonOptions } from './daemon.js';
export { type LoginOptions, LoginService, type PendingLogin } from './login.js';
export { markDamaged, rebuildCatalog } from './maintenance.js';
export {
  changeKeys,
  ClientStore,
  defaultSetName,
  IncomingStream,
  InlineStorageHost,
  SetJournal,
  sharedCount,
  SpaceMeter,
  type StorageHost,
  type StorageOptions,
  type StoreLimits,
  type StreamStart,
  ThreadStorageHost,
} from './storage/index.js';
