export { openRemoteAdmin } from './remote-admin.js';
export { copyToServer } from './copy-to-server.js';
export { openRemoteCopy } from './remote-copy.js';
export { remoteClients } from './remote-clients.js';
export { openHistoryByToken, openRemoteHistory, type TokenHistory } from './remote-history.js';
export type { RemotePlace, TokenPlace } from './remote-peer.js';
