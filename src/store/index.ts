export type {
  Backend,
  MendableBackend,
  ExpectedRange,
  ObjectReader,
  ObjectWriter,
} from './backends/backend.js';
export { DirectoryBackend, goneStore } from './backends/directory-backend.js';
export { stagedPieces } from './backends/staged-pieces.js';
export {
  catalogFileOf,
  type ClientDirectory,
  guardClient,
  isClientDirectory,
  listClients,
  openClientDirectory,
  reopenClient,
  repairClientDirectory,
  secondGenerationPath,
} from './client/client-directory.js';
export {
  isStore,
  makeStore,
  markStore,
  requireStore,
} from './client/store-directory.js';
export {
  type ClientLock,
  lockClient,
  tryLock,
} from './client/client-lock.js';
export type { SwitchState } from './client/medium.js';
export { clientExists, createClientDirectory, makeSkipFile } from './open/create-client.js';
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
export {
  type BucketAccess,
  bucketAt,
  followOf,
  shownStore,
  useBucket,
} from './client/bucket-access.js';
export {
  accountFilesHere,
  fetchAccountFiles,
  MAX_ACCOUNT_FILES,
  putAccountFiles,
} from './bucket/account-files.js';
export { fetchAccounts } from './bucket/account-objects.js';
export { UsedSpace } from './bucket/used-space.js';
export { JoinedReads } from './bucket/joined-reads.js';
export {
  closeSharedStores,
  readClientNote,
  requireAnswer,
  sharedObject,
  sharedStore,
  shareStore,
  writeClientNote,
} from './bucket/shared-stores.js';
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
export {
  type NamedSnapshot,
  type SnapshotObjects,
  snapshotsOf,
  type StoredSnapshot,
} from './bucket/snapshot-objects.js';
export { movedTo, requireNotMoved } from './bucket/moved-object.js';
export { unfinishedRewrites } from './bucket/generation-objects.js';
export { DECOY_OBJECT } from './layout/bucket-names.js';
export {
  type Lease,
  LEASE_MS,
  liveLeases,
  removeLease,
  writeLease,
} from './bucket/leases.js';
export { checkClientName, isClientName } from './layout/client-name.js';
export {
  addTokenAccount,
  isTokenAccount,
  isTokenOf,
  listTokenAccounts,
  parseToken,
  putToken,
  tokenHash,
  type TokenParts,
} from './accounts/token-accounts.js';
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
  STORE_MARK,
  SUB_ACCOUNTS_DIRECTORY,
} from './layout/layout.js';
export { type StrangePack, strangePacks, type Stray } from './client/strays.js';
export {
  accountDirectory,
  accountFaults,
  isAccount,
  listAccounts,
  loginKeys,
  mendAllKeys,
  parseRights,
  putAccount,
  readRights,
  removeAccount,
  requireAccount,
  requireNoAccounts,
  stateOfKeys,
} from './accounts/sub-accounts.js';
export {
  SNAPSHOT_PIECE_BYTES,
  type SnapshotFacts,
  snapshotPieces,
} from './packs/snapshot-facts.js';
export {
  Codec,
  type CodecName,
  type CodecNumber,
  decode,
  encode,
  encodedBound,
  isCodec,
  zstdHashLog,
} from './packs/codec.js';
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
  type StoreEvent,
} from './packs/events.js';
export {
  buildChunk,
  buildContent,
  buildEncoded,
  buildEncodedChunk,
  buildFrame,
  CHUNK_HEADER_BYTES,
  type ChunkHeader,
  type Compression,
  decodeChunk,
  openBody,
  openChunk,
  readChunkHeader,
  sealedBody,
  sealedChunk,
  type Slice,
  STREAM_CHUNK_BYTES,
} from './packs/frame.js';
export {
  buildImagePiece,
  type ImageDirectory,
  type ImageItem,
  type ImageSet,
  readImagePiece,
} from './packs/image.js';
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
export {
  addToRangeChecksum,
  bodyChecksumOf,
  buildRecord,
  CONTENT_INDEX_BYTES,
  type ContentIndex,
  DELTA_INDEX_BYTES,
  type DeltaRecordIndex,
  checkFrameIndex,
  FRAME_ENTRY_BYTES,
  type FrameEntry,
  isOfAccount,
  isOfContents,
  markOfAccount,
  MAX_BODY_BYTES,
  MAX_FRAME_CONTENTS,
  MAX_FRAME_RAW_BYTES,
  MAX_INDEX_BYTES,
  type NewHeader,
  type ParsedRecord,
  parseRecord,
  readContentIndex,
  readDeltaIndex,
  readFrameIndex,
  readHeader,
  RECORD_CHUNKED,
  RECORD_HEADER_BYTES,
  RECORD_MAGIC_BYTES,
  RECORD_OF_ACCOUNT,
  RECORD_SALT_BYTES,
  RECORD_SEAL_BYTES,
  recordBytes,
  type RecordHeader,
  RecordKind,
  type RecordKindNumber,
  writeContentIndex,
  writeDeltaIndex,
  writeHeader,
} from './packs/record.js';
export type { CommitEnd, Covered, PackRange, RecordWriter } from './packs/record-writer.js';
export { examine, type Examined, heal, type HealTools, isParityDamaged } from './parity/heal.js';
export { makeParity, type ParityMath } from './parity/make-parity.js';
export { findInnerParity } from './parity/inner-parity.js';
export { type Mended, ObjectHealer } from './bucket/object-healer.js';
export { ParityMaker } from './bucket/parity-maker.js';
export { leavesRoom, parityBytes } from './parity/parity-file.js';
export {
  protectable,
  storedObjects,
  storedPacks,
  strayParity,
} from './parity/protected-names.js';
export { shapeOf } from './parity/shape.js';
export { soundRecords } from './parity/sound-records.js';
export { isRecordSound, readRecord, type ScannedRecord, scanPack } from './packs/scan.js';
export { unreadable, unreadableObject } from './backends/unreadable.js';
