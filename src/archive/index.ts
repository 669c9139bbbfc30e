export type {
  Archive,
  ArchiveEntry,
  ContentLocation,
  ContentPiece,
  PathVersion,
} from './archive.js';
export { type LocalArchiveOptions, openLocalArchive } from './local-archive.js';
export type { BackupSet } from '../catalog/index.js';
export type { RootRecord, SetNote } from '../store/index.js';
export { rootAbove } from './roots.js';
