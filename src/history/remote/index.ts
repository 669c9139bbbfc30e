export { openRemoteAdmin } from './remote-admin.js';
export { copyToServer } from './copy-to-server.js';
export { openRemoteCopy } from './remote-copy.js';
export { remoteClients } from './remote-clients.js';
export { openRemoteHistory } from './remote-history.js';
export type { RemotePlace, TokenPlace } from './remote-peer.js';
export { openHistoryByToken, type TokenHistory } from './token-history.js';
