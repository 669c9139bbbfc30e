export { yieldRegularly } from './yielding.js';
export { BoundedCache, keepLoading } from './bounded-cache.js';
export { CountsByKey } from './counts-by-key.js';
export { atOnce, Credit } from './credit.js';
export { Retries } from './retries.js';
export { type Clock, looseDelay, notBefore, systemClock, wallMs, within } from './clock.js';
export { type SqlDatabase, type SqlStatement, type SqlValue, steadySql } from './database.js';
export type { RowOf, RowShape, SqlQuery } from './row-shapes.js';
export { onExposedSecret, reportIfExposed, reportIfForeign } from './exposed-secrets.js';
export { environmentOfOthers, idsOf, unusedProxy } from './other-programs.js';
export { flockPatiently, lockPatiently, onLongWait, reportLongWait, tryFlock } from './locks.js';
export * from './files.js';
export {
  guardDirectory,
  type GuardedUse,
  onSafeWay,
  openSource,
  openOutput,
  openToAppend,
  outputPath,
  sourcePath,
  requireNoLink,
  unguarded,
} from './guarded-paths.js';
export { JoinedPipes } from './joined-pipes.js';
export { keepBlocksSmall } from './buffer-pool.js';
export { hasAes, type Machine, machineIdentity, thisMachine } from './machine.js';
export * from './native-rsync.js';
export { NO_DIRECTORY, RowPlace, UNKNOWN_ID } from './native-placing.js';
export * from './native-fuse.js';
export * from './native-decoding.js';
export * from './native-restoring.js';
export * from './native-sealing.js';
export { readSubvolume } from './native-snapshots.js';
export { WANTED_RECORD_BYTES, WantedRecord } from './native-compressing.js';
export { GatherCursor, UNDECIDED_NUMBERS } from './native-gathering.js';
export { type FailedAttribute, failedAttributes, refusedOfFiles } from './refused-metadata.js';
export * from './directory-place.js';
export { crc32 } from './crc32.js';
export {
  FEATURE_BYTES,
  GEAR_BYTES,
  loadSnappy,
  loadNative,
  MetadataOption,
  type NativeCalls,
  OpenKind,
  unpackSnappy,
} from './native.js';
export * from './network.js';
export { packageRoot, programVersion } from './package-root.js';
export {
  type Disk,
  diskOf,
  type Mount,
  mountedDisks,
  mountOf,
  mountsHere,
  shareHardware,
} from './disk-of.js';
export { deviceLink, lastingPlace, mountedPlace, placeById } from './device-place.js';
export * from './process-input.js';
export { openProgram, type ProgramEnd, type ProgramSocket } from './program-socket.js';
export { failedStoreWrite, freeSpaceText } from './free-space.js';
export { type CatalogStep, nodeSystem, type Random, type System } from './system.js';
export { makeUnlessThere, readStart, replaceFile, writeNew } from './small-files.js';
export * from './state-directory.js';
export * from './temporary.js';
export { type Channel, Thread, threadEnd } from './thread.js';
export { type CallReply, type CallRequest, Calls, replyTo } from './calls.js';
export { loadHttp, loadHttp2, loadHttps, loadTls } from './web-modules.js';
export { foreignHand, isKept, O_PATH, pathWithoutLinks, wayTo } from './ways.js';
