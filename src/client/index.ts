export { notEncrypting, runBackup, setStats } from './backup.js';
export type { BackupHooks, BackupRequest, BackupResult } from './backup-request.js';
export { type KeysRequest, withKeys } from './keys.js';
export {
  type LocalServer,
  type LocalServerOnDemand,
  type LocalServerOptions,
  type ServerSettings,
  startLocalServer,
} from './local-server.js';
export { MessageMarks, Sender } from './sender.js';
export { OfferedBases } from './offered-bases.js';
export { OutgoingStreams } from './outgoing-streams.js';
export { identityAt, RootPresence } from './root-presence.js';
export { SealedSignature } from './sealed-signature.js';
export { ServerPeer } from './server-peer.js';
export { type Reach, SessionConnector, SilentServers } from './session-connector.js';
export { requireSpace, SessionLine, spaceDoubt } from './session-line.js';
export { rowPages } from './row-pages.js';
export { rawRules } from './uncompressed-rules.js';
export { missingFailures, readRoots, type Root, rootFiles, rootTasks } from './roots.js';
export { type Settled, untilSettled } from './settling.js';
export type { StreamSource } from './stream-roots.js';
