export {
  overviewBeside,
  OverviewMemory,
  overviewOf,
  unseenClient,
} from './queries/client-overview.js';
export { Daemon, type DaemonOptions, type RenewableOptions } from './daemon.js';
export { GcScheduler, type GcPlan } from './gc-scheduler.js';
export { changeKeys } from './ingest/key-change.js';
export { SignatureSource } from './ingest/signature-source.js';
export { RunRecorder } from './run-recorder.js';
export { UnacknowledgedAnswers, type Visit } from './client-session.js';
export { Attempts, DEFAULT_ATTEMPTS } from './limits/attempts.js';
export { type Admission, Quotas } from './quotas.js';
export { lookForToken } from './login/token-login.js';
export {
  type CertificateFiles,
  certificateEndMs,
  readCertificate,
  validityFault,
} from './login/certificate.js';
export { type LoginOptions, LoginService, type PendingLogin } from './login/login.js';
export { Watch, type WatchPlan } from './monitor/monitor.js';
export { openMetrics } from './monitor/open-metrics.js';
export * from './queries/read-only.js';
export { watchLogin } from './session-rights.js';
export { lookAt, type SharedClients } from './shared-clients.js';
export { PROFILES_DIRECTORY } from './session-profile.js';
export type { GcResult, GcWork } from './storage/gc-work.js';
export { InlineStorageHost } from './hosts/inline-host.js';
export type { SideWorkFailed } from './hosts/side-work.js';
export { ThreadStorageHost } from './hosts/thread-host.js';
export type { StorageHost } from './storage/storage-host.js';
export type { StorageOptions } from './storage/storage-options.js';
