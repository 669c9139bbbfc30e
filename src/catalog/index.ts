export type { SealedDirectory } from './seals.js';
export * from './apply.js';
export { Catalog } from './catalog.js';
export type { ContentRow, StoredContent } from './contents.js';
export { type DirectoryIdentity, ROOTS_DIRECTORY } from './directories.js';
export { type LocatedPiece, Locator } from './locate.js';
export {
  type CatalogEntry,
  type ContentProof,
  entryOfParts,
  openInPlace,
  type HeadRow,
  type ListingPage,
} from './entries.js';
export { FIRST_VERSION, HistoryTable, type PlacedContent } from './history.js';
export { CATALOG_VERSION } from './open.js';
export { recoverCatalog, type RecoveryReport } from './recover.js';
export type { BackupSet, SetState } from './sets.js';
export type { CommitPoint } from './state.js';
