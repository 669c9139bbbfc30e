export { breather } from './breather.js';
export { type Clock, ManualClock, systemClock, wallMs } from './clock.js';
export type { OpenDatabaseOptions, SqlDatabase, SqlStatement, SqlValue } from './database.js';
export {
  type DiskAct,
  type DiskFileKind,
  type DiskStart,
  DiskTrace,
  type ForeignAct,
  type TracedAct,
} from './disk-trace.js';
export {
  FaultPlan,
  faultySystem,
  isWriting,
  KilledError,
  withFaults,
  type FaultMode,
} from './faults.js';
export { type Files, type FileStatus, inheritOwner, STORE_UMASK } from './files.js';
export { hasAes, type Machine, thisMachine } from './machine.js';
export {
  type FailedAttribute,
  failedAttributes,
  MetadataOption,
  type NativeCalls,
  OpenKind,
} from './native.js';
export {
  BODY_NONCE_BYTES,
  BODY_TAG_BYTES,
  BodyCipher,
  type BodyCipherNumber,
  SEAL_KEYS_BYTES,
  type SealingCalls,
} from './native-sealing.js';
export {
  RSYNC_FIGURES,
  type RsyncCalls,
  RsyncFigure,
  RsyncStatus,
  type RsyncStatusNumber,
} from './native-rsync.js';
export {
  type Address,
  addressGroup,
  describeAddress,
  hostInUrl,
  isLoopback,
  type Network,
} from './network.js';
export { PrivateFolder } from './private-folder.js';
export { type Random, seededRandom } from './random.js';
export {
  ARRIVED,
  byChance,
  type CrashChoice,
  DiskState,
  HOLLOW,
  type LeftFile,
  LOST,
  NAMELESS,
  SECTOR_BYTES,
  SimulatedDisk,
  type Unsynced,
} from './simulated-disk.js';
export { loadSnappy } from './snappy.js';
export { readStart, replaceFile, writeNew } from './small-files.js';
export { nodeSystem, type System } from './system.js';
export {
  checkSocketPath,
  makeSocketFolder,
  makeTemporary,
  removeSocketFolder,
  SOCKET_FOLDER_ARGUMENTS,
} from './temporary.js';
export { lockPatiently } from './patience.js';
export { tracedSystem } from './traced-system.js';
export {
  absolutePath,
  byteText,
  exactPath,
  hasStrayBytes,
  isThere,
  realPathOf,
  processArguments,
  processEnvironment,
  readSmallFile,
  textBytes,
} from './process-input.js';
