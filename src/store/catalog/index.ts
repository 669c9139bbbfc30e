export type { NamedVersion, StoredUse } from './reports.js';
export { holdsSeals, sealedWithoutKeys } from './soundness/sealed.js';
export type { SealedDirectory, SealSpan } from './tables/seals.js';
export * from './recovery/apply.js';
export * from './content-records.js';
export { Catalog } from './catalog.js';
export type { StoredContent } from './tables/contents.js';
export { damagedEntry } from './tables/stored-entry.js';
export * from './tables/directories.js';
export { type LocatedPiece, Locator } from './locate.js';
export {
  type CatalogEntry,
  type ContentProof,
  entryOfParts,
  openInPlace,
} from './tables/stored-entry.js';
export type { HeadRow, ListingPage, PackedPages, RowTargets } from './tables/entries.js';
export * from './tables/packed-values.js';
export type { PlacedContent } from './history.js';
export { PAGE_ROWS, pages } from './pages.js';
export { catalogVersion, hasNewestVersion, isCatalogLost, isUnusedClient } from './open.js';
export { shapeOf } from './soundness/expected-tables.js';
export { CATALOG_VERSION, newestVersion } from './versions.js';
export {
  type CommitLog,
  FIRST_COMMIT,
  hasLog,
  type ListedCommit,
  walkCommits,
} from './recovery/log-walk.js';
export { type ListedLog, type LostCommit, SalvageWalk } from './recovery/salvage-walk.js';
export { PASSING_FLAGS } from './soundness/audit-rules.js';
export { ContentRecords } from './recovery/apply-records.js';
export { commitsBehind, recoverCatalog, type RecoveryReport } from './recovery/recover.js';
export type { BackupSet } from './tables/sets.js';
export type { AttributeUse, EntryPlace, SetSpan } from './reports.js';
export { ForgettingCopy } from './forget.js';
export { IdSet } from './id-set.js';
export { settingsOf } from './tables/settings.js';
export {
  addRests,
  FIRST_ENTRY,
  type EntryKey,
  measureRecords,
  type RecordUse,
} from './gc-queries.js';
export { type CommitPoint, NO_LOSS } from './tables/state.js';
export type { RootUse } from './gc-queries.js';
export * from './soundness/audit.js';
export type { Inconsistency } from './soundness/audit-rules.js';
export { KnownHistory } from './recovery/known-history.js';
export { believePages, comparePages } from './soundness/catalog-pages.js';
export { pagesDamaged, PageSums } from './soundness/page-sums.js';
export { databaseBytes, fingerprintOf, removeDatabase, removeSideFiles } from './database-files.js';
export { snapshotCatalog } from './snapshot.js';
export { FoundContents, missingIn, soundOr } from './recovery/found-contents.js';
export { requireFitting, requireForeign } from './soundness/fetched-catalog.js';
export { findRemovals, isRemoved } from './recovery/removals.js';
