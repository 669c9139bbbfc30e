export { openRemoteArchive, type RemoteArchiveOptions } from './remote-archive.js';
