export type * from './backends/backend.js';
export { DirectoryBackend, goneStore, HeldDirectory } from './backends/directory-backend.js';
export { stagedPieces } from './backends/staged-pieces.js';
export {
  catalogFileOf,
  catalogIdentity,
  type ClientDirectory,
  clientExists,
  guardClient,
  isClientDirectory,
  listClients,
  openClientDirectory,
  reopenClient,
  repairClientDirectory,
  secondGenerationPath,
  storedFiles,
} from './client/client-directory.js';
export {
  isStore,
  makeStore,
  markStore,
  requireStore,
  storeFolder,
} from './client/store-directory.js';
export {
  catalogNotOpened,
  type ClientLock,
  heldLocks,
  isClientInUse,
  isInLocks,
  lockAccounts,
  lockByFile,
  lockClient,
  tryLock,
  withAccountsAtRest,
} from './client/client-lock.js';
export type { SwitchState } from './client/medium.js';
export { createClientDirectory, makeSkipFile } from './open/create-client.js';
export { mediumOf, withClient } from './open/medium-of.js';
export { type CommitObject, parseCommitObject } from './bucket/commit-object.js';
export {
  CLIENTS_PREFIX,
  COPY_NOTE,
  isNextGeneration,
  isOfLog,
  lastPackUpTo,
  LOG_PREFIX,
  logPack,
  logPlace,
  isReplaced,
  writtenOnce,
  type WrittenOnce,
} from './layout/bucket-names.js';
export * from './client/bucket-access.js';
export * from './bucket/account-files.js';
export { fetchAccounts } from './bucket/account-objects.js';
export { UsedSpace } from './bucket/used-space.js';
export { JoinedReads } from './bucket/joined-reads.js';
export * from './bucket/shared-stores.js';
export {
  clientsIn,
  fetchClient,
  followMove,
  requireClientList,
} from './bucket/client-object.js';
export { mendNotes } from './bucket/generation-notes.js';
export { mendClientObjects } from './bucket/client-mending.js';
export { storeKeys } from './bucket/key-objects.js';
export { isLostMark, Salvage } from './bucket/salvage.js';
export * from './bucket/snapshot-objects.js';
export { movedTo, requireNotMoved } from './bucket/moved-object.js';
export { unfinishedRewrites } from './bucket/generation-objects.js';
export { DECOY_OBJECT } from './layout/bucket-names.js';
export * from './bucket/leases.js';
export { checkClientName, isClientName } from './layout/client-name.js';
export * from './open/backup-requests.js';
export * from './open/join-codes.js';
export * from './open/run-journal.js';
export * from './accounts/space-accounts.js';
export * from './accounts/token-accounts.js';
export { readFormat, STORE_FORMAT, writeFormat } from './layout/format-file.js';
export {
  addKeys,
  dropKeys,
  hasEncryptingKeys,
  hasKeys,
  lostKeys,
  neededBy,
  newestKeys,
  noteNeededKeys,
  removeOlderKeys,
} from './client/key-files.js';
export {
  CHECKED_FILE,
  FORMAT_FILE,
  GENERATION_FILE,
  isObjectName,
  KEY_COPIES_DIRECTORY,
  keyFileNumber,
  KEYS_DIRECTORY,
  LOCK_FILE,
  type Location,
  locationName,
  MAX_GENERATION_BYTES,
  NO_PACK,
  objectName,
  packName,
  packNumber,
  PACKS_PREFIX,
  PARITY_PREFIX,
  parityName,
  RESERVE_FILE,
  RUNS_DIRECTORY,
  STORE_MARK,
  SUB_ACCOUNTS_DIRECTORY,
} from './layout/layout.js';
export { type StrangePack, strangePacks, type Stray } from './client/foreign-files.js';
export * from './accounts/sub-accounts.js';
export * from './packs/codec.js';
export {
  buildCommit,
  buildEvent,
  buildListing,
  type CommitBody,
  type Counters,
  higherCounters,
  isOwner,
  type ListingSection,
  type OwnerRecord,
  readCommit,
  readEvent,
  readListing,
  type RootRecord,
  type SetNote,
  SNAPSHOT_PIECE_BYTES,
  type SnapshotFacts,
  snapshotPieces,
  type StoreEvent,
} from './packs/events.js';
export * from './packs/frame.js';
export * from './packs/image.js';
export {
  buildLabel,
  hasLabel,
  LABEL_BYTES,
  listPacks,
  readLabel,
  sortPackFiles,
} from './packs/pack-label.js';
export { PackWriter } from './packs/pack-writer.js';
export {
  changed as changedRecord,
  type CipherHead,
  decodeCipherHead,
  encodeCipherHead,
  openSealed,
  RecordCipher,
  type SealedBody,
} from './packs/record-cipher.js';
export { buildHeads, readHeads, recordsOf } from './packs/heads.js';
export * from './packs/record.js';
export * from './packs/pack-ranges.js';
export type { CommitEnd, Covered, RecordWriter } from './packs/record-writer.js';
export { examine, type Examined, heal, type HealTools, isParityDamaged } from './parity/heal.js';
export { makeParity, type ParityMath } from './parity/make-parity.js';
export { findInnerParity } from './parity/inner-parity.js';
export { type Mended, ObjectHealer } from './bucket/object-healer.js';
export { ParityMaker } from './bucket/parity-maker.js';
export { leavesRoom, parityBytes } from './parity/parity-file.js';
export * from './parity/protected-names.js';
export { shapeOf } from './parity/shape.js';
export { soundRecords } from './parity/sound-records.js';
export { isRecordSound, readRecord, type ScannedRecord, scanPack } from './packs/scan.js';
export { unreadable, unreadableObject } from './backends/unreadable.js';
