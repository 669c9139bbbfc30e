export { remoteClients } from './remote-clients.js';
export { openRemoteHistory } from './remote-history.js';
export type { RemotePlace } from './remote-peer.js';
export type { RemoteCheck, RemoteFreed, WorkHooks, WorkProgress } from './remote-work.js';
export { openRemoteSets, type RemoteSets } from './remote-sets.js';
