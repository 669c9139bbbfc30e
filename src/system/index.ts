export { yieldRegularly } from './yielding.js';
export { BoundedCache } from './bounded-cache.js';
export { Credit } from './credit.js';
export { Retries } from './retries.js';
export { type Clock, looseDelay, systemClock, wallMs } from './clock.js';
export { type SqlDatabase, type SqlStatement, type SqlValue, steadySql } from './database.js';
export type { RowOf, RowShape, SqlQuery } from './rows.js';
export { onExposedSecret, reportIfExposed, reportIfForeign } from './exposed-secrets.js';
export { environmentOfOthers, idsOf, unusedProxy } from './other-programs.js';
export { flockPatiently, lockPatiently, onLongWait, reportLongWait, tryFlock } from './patience.js';
export {
  type DiskSpace,
  type Files,
  type FileStatus,
  inheritOwner,
  namesIn,
  STORE_UMASK,
} from './files.js';
export { foreignHand, isKept, wayTo } from './hands.js';
export { guardDirectory, type GuardedUse, requireNoLink, unguarded } from './guarded-paths.js';
export { keepBlocksSmall } from './buffer-pool.js';
export { hasAes, type Machine, machineIdentity, thisMachine } from './machine.js';
export {
  RSYNC_FIGURES,
  type RsyncCalls,
  RsyncFigure,
  RsyncStatus,
  type RsyncStatusNumber,
} from './native-rsync.js';
export { NO_DIRECTORY, RowPlace, UNKNOWN_ID } from './native-placing.js';
export {
  AttributeAnswer,
  BARE_NODE_BIT,
  type FuseCalls,
  READY_BYTES,
  READY_FILE_ROOM,
  READY_FILE_WORDS,
  READY_FILES,
  READY_FILES_BYTES,
  READY_PAGES,
  READY_LINKS_BYTES,
  ReadyState,
} from './native-fuse.js';
export {
  type AsideBody,
  AsideOutcome,
  BODY_PLACE_BYTES,
  CONTENT_ROW_BYTES,
  NO_BODY_CIPHER,
} from './native-decoding.js';
export {
  BODY_BYTES,
  BodyOffset,
  FETCHED_BODY,
  LEFT_NUMBERS,
  RestoreCount,
} from './native-restoring.js';
export {
  BODY_NONCE_BYTES,
  BODY_TAG_BYTES,
  BodyCipher,
  type BodyCipherNumber,
  SEAL_KEYS_BYTES,
  type SealingCalls,
} from './native-sealing.js';
export { WANTED_RECORD_BYTES, WantedRecord } from './native-compressing.js';
export { GatherCursor, UNDECIDED_NUMBERS } from './native-gathering.js';
export { type FailedAttribute, failedAttributes, refusedOfFiles } from './refused-metadata.js';
export {
  directoryAt,
  type DirectoryPlace,
  namedDirectoryAt,
  OpenedPlace,
} from './directory-place.js';
export { crc32 } from './crc32.js';
export {
  loadSnappy,
  loadNative,
  MetadataOption,
  type NativeCalls,
  OpenKind,
} from './native.js';
export {
  type Address,
  addressGroup,
  describeAddress,
  hostInUrl,
  requireHost,
  isHost,
  isLoopback,
  singleAddresses,
  type TcpPlace,
  tlsFault,
} from './network.js';
export { packageRoot, programVersion } from './package-root.js';
export { type Disk, diskOf, shareHardware } from './disk-of.js';
export { PrivateFolder } from './private-folder.js';
export {
  absolutePath,
  byteText,
  exactPath,
  hasStrayBytes,
  isThere,
  processArguments,
  processEnvironment,
  readSmallFile,
  withoutMark,
  realPathOf,
  textBytes,
} from './process-input.js';
export { failedStoreWrite, freeSpaceText } from './free-space.js';
export { type CatalogStep, nodeSystem, type Random, type System } from './system.js';
export { readStart, replaceFile, writeNew } from './small-files.js';
export { cachePath, homeDirectory, readState, statePath, writeState } from './state-directory.js';
export {
  checkSocketPath,
  makeSocketFolder,
  makeTemporary,
  removeSocketFolder,
  SOCKET_FOLDER_ARGUMENTS,
} from './temporary.js';
export { type Channel, Thread, threadEnd } from './thread.js';
export { type CallReply, type CallRequest, Calls, replyTo } from './calls.js';
export { loadHttp, loadHttp2, loadHttps, loadTls } from './web.js';
