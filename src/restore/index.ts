export { ByteSink } from './byte-sink.js';
export { ContentReader } from './content-reader.js';
export { type PathFilter, pathFilter } from './filter.js';
export { type PolicyOptions, RestorePolicy } from './policy.js';
export { ListingsAhead, PAGE_ENTRIES } from './listings-ahead.js';
export { newRestoreProgress, type RestoreFailure, type RestoreProgress } from './progress.js';
export { type RestoreRequest, type RestoreResult, runRestore } from './restore.js';
export {
  TAR_BLOCK_BYTES,
  tarEnd,
  type TarEntry,
  tarHeader,
  tarPadding,
  TarType,
} from './tar-format.js';
export { type TarRequest, writeTar } from './tar.js';
