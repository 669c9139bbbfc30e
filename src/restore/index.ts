export { ByteSink } from './byte-sink.js';
export { DeviceTarget } from './device-target.js';
export { ContentReader } from './content-reader.js';
export { areOneName, FoldedNames, foldsCase } from './folded-names.js';
export { type PathFilter, pathFilter } from './filter.js';
export { OwnerMap } from './owner-map.js';
export { HeldFiles } from './held-files.js';
export { type LocatedFile, planJobs } from './plan.js';
export { type PolicyOptions, RestorePolicy } from './policy.js';
export { ListingsAhead, PAGE_ENTRIES } from './listings-ahead.js';
export { locateEach } from './plan.js';
export { MissingNote, missingText } from './archive.js';
export { noteProof } from './note-proof.js';
export { newRestoreProgress, type RestoreFailure, type RestoreProgress } from './progress.js';
export type { EarlierTree, RestoreRequest, StreamMeans } from './request.js';
export { ReadAhead } from './read-ahead.js';
export { runRestore } from './restore.js';
export * from './tar-format.js';
export { plainContent, sparseContent } from './tar-content.js';
export { lossesOf } from './target-limits.js';
export type { ArchiveRequest } from './archive.js';
export { writeTar } from './tar.js';
export * from './zip.js';
export {
  begun,
  deflatedBlocks,
  isWorthDeflating,
  joined,
} from './zip-content.js';
export {
  CentralDirectory,
  zipDescriptor,
  type ZipEntry,
  zipLocalHeader,
  ZipMethod,
} from './zip-format.js';
export { deviceIn, Devices } from './walk.js';
export { FlagsToSet } from './inode-flags.js';
export { restoreId, RestoreJournal, temporaryPrefix } from './journal.js';
export { FailedBefore, formatJournal, parseJournal } from './journal-text.js';
export { keyOf } from './links.js';
export { explainedWhenFull, RestoreTarget } from './target.js';
export * from './walk.js';
