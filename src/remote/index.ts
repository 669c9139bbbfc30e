export { openRemoteArchive } from './remote-archive.js';
export type { RemotePlace } from './remote-peer.js';
