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
export { type AfterVersion, FIRST_VERSION, HistoryTable, type PlacedContent } from './history.js';
export { CATALOG_VERSION, catalogVersion, isUnusedClient } from './open.js';
export { recoverCatalog, type RecoveryReport } from './recover.js';
export type { BackupSet, SetState } from './sets.js';
export type { EntryPlace, SetSpan } from './reports.js';
export { type ForgottenPath, ForgettingCopy } from './forget.js';
export { IdSet } from './id-set.js';
export { KeptSettings, settingsOf } from './settings.js';
export type { CommitPoint, ImagePoint, Waste } from './state.js';
export { type EntryKey, FIRST_ENTRY, type RecordUse } from './upkeep.js';
export {
  type AuditedContent,
  type AuditedRecord,
  CatalogAudit,
  type HeldVersion,
} from './audit.js';
export type { Inconsistency } from './audit-rules.js';
export { snapshotCatalog } from './snapshot.js';
export { findRemovals, isRemoved, type Removals } from './from-image.js';
