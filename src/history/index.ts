export type { BackupSet } from '../store/catalog/index.js';
export {
  damagedEntry,
  type FetchedPage,
  packedPagesIn,
  ROOTS_DIRECTORY,
} from '../store/catalog/index.js';
export type { ObjectReader, RootRecord, SetNote } from '../store/index.js';
export { circleAt, type OnWay } from './circles.js';
export { contentsAsFiles } from './contents-history.js';
export * from './history.js';
export { KeptReads, keptReads } from './kept-reads.js';
export { Access, noAccess } from './local/access.js';
export { FollowingReader } from './local/following-reader.js';
export { openHistoryIn, openLocalHistory } from './local/local-history.js';
export { restBelow, rootAbove } from './local/roots.js';
export { begunMs, setAt, setNamed, tookMs } from './local/sets.js';
export { NamePlaces, type PlacedName } from './name-places.js';
export { coveringSets, noSuchPath, setsCovering } from './no-such-path.js';
export * from './unsaved.js';
export * from './reports.js';
export { provenVersion } from './proven-version.js';
export { ListingFaults } from './sealed/listing-faults.js';
export { EntryOpener } from './sealed/entry-opener.js';
export { provenHistory } from './sealed/unproven.js';
export { type ProvenSet, ProvenSets } from './sealed/proven-sets.js';
export { unsealedHistory } from './sealed/unsealed-history.js';
export { type ClientOverview, type Protection, stateOf } from './wire/client-overview.js';
export { odd, PAGE_ITEMS } from './wire/coder.js';
export { objectsInPieces, pieceOfObject } from './wire/object-pieces.js';
export * from './wire/questions.js';
export type { Verdicts } from './wire/wire-changes.js';
export {
  CHANGES,
  FIGURES,
  setRootsFromWire,
  setRootsToWire,
} from './wire/wire-reports.js';
export * from './shown/path-versions.js';
export { entriesAround, named, type RootNode, rootsEver, rootsOf } from './shown/roots.js';
export * from './shown/shown-names.js';
export { privateDirectory, virtualDirectory, virtualLink } from './shown/virtual.js';
