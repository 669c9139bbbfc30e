export { accountOf, ACCOUNTS_DIRECTORY, parseAccount } from './accounts.js';
export { type AttemptLimits, Attempts, DEFAULT_ATTEMPTS } from './attempts.js';
export { type CertificateFiles, readCertificate } from './certificate.js';
export { Daemon, type DaemonOptions } from './daemon.js';
export { KeptAnswers } from './kept-answers.js';
export * from './watch/index.js';
export { type LoginOptions, LoginService, type PendingLogin } from './login.js';
export { PROFILES_DIRECTORY, type ProfilePlan, SessionProfile } from './session-profile.js';
export {
  changeKeys,
  InlineStorageHost,
  type SideWorkFailed,
  type StorageHost,
  type StorageOptions,
  ThreadStorageHost,
} from './storage/index.js';
