export { Access, noAccess, type Reader } from './access.js';
export type {
  Archive,
  ArchiveEntry,
  ContentLocation,
  ContentPiece,
  FoundContent,
  PathVersion,
  SetSeals,
  WantedContent,
} from './archive.js';
export { contentsAsFiles } from './contents-archive.js';
export { type LocalArchiveOptions, openArchiveIn, openLocalArchive } from './local-archive.js';
export type { BackupSet } from '../catalog/index.js';
export type { ObjectReader, RootRecord, SetNote } from '../store/index.js';
export { noSuchPath } from './no-such-path.js';
export { EntryOpener } from './opened-entries.js';
export { provenArchive } from './proven-archive.js';
export { type ProvenSet, ProvenSets } from './proven-sets.js';
export { restBelow, rootAbove } from './roots.js';
export { unsealedArchive } from './unsealed-archive.js';
export * from './reports.js';
export * from './wire.js';
export * from './wire-reports.js';
export * from './wire-changes.js';
export * from './wire-forgets.js';
export { setAt, setNamed } from './sets.js';
