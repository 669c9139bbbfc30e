export type { NamedVersion } from './named-entries.js';
export { holdsSeals, sealedWithoutKeys } from './sealed.js';
export type { SealedDirectory, SealSpan } from './seals.js';
export * from './apply.js';
export * from './apply-contents.js';
export { Catalog } from './catalog.js';
export type { StoredContent } from './contents.js';
export { damagedEntry } from './damaged-entry.js';
export { type DirectoryIdentity, type FoundDirectory, ROOTS_DIRECTORY } from './directories.js';
export { type LocatedPiece, Locator } from './locate.js';
export {
  type CatalogEntry,
  type ContentProof,
  entryOfParts,
  openInPlace,
} from './stored-entry.js';
export type { HeadRow, ListingPage, PackedPages, RowTargets } from './entries.js';
export * from './packed-parts.js';
export { type AfterVersion, FIRST_VERSION, type PlacedContent } from './history.js';
export { catalogVersion, hasNewestVersion, isCatalogLost, isUnusedClient } from './open.js';
export { shapeOf } from './shape.js';
export { CATALOG_VERSION, newestVersion } from './versions.js';
export {
  type CommitLog,
  FIRST_COMMIT,
  hasLog,
  type ListedCommit,
  walkCommits,
} from './log-walk.js';
export { type ListedLog, type LostCommit, SalvageWalk } from './salvage-walk.js';
export { PASSING_FLAGS } from './audit-rules.js';
export { ContentRecords } from './apply-records.js';
export { recoverCatalog, type RecoveryReport } from './recover.js';
export type { BackupSet } from './sets.js';
export type { AttributeUse, EntryPlace, SetSpan } from './reports.js';
export { ForgettingCopy } from './forget.js';
export { IdSet } from './id-set.js';
export { settingsOf } from './settings.js';
export { addRests, type EntryKey, FIRST_ENTRY, type RecordUse } from './gc-queries.js';
export { type CommitPoint, NO_LOSS } from './state.js';
export type { RootUse } from './unshown.js';
export {
  type AuditedContent,
  type AuditedRecord,
  CatalogAudit,
  type ContentVersion,
} from './audit.js';
export type { Inconsistency } from './audit-rules.js';
export { imagePieces } from './image-pieces.js';
export { KnownHistory } from './known-history.js';
export { believePages, comparePages, fingerprintOf } from './catalog-pages.js';
export { pagesDamaged, PageSums } from './page-sums.js';
export { snapshotCatalog } from './snapshot.js';
export { FoundContents, missingIn } from './found-contents.js';
export { requireFitting, requireForeign } from './fetched-catalog.js';
export { findRemovals, isRemoved } from './removals.js';
