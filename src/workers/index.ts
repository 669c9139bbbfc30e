export { memoryOf, memoryOfContents, runOf } from './block-builder.js';
export { InlineJobs } from './inline.js';
export { LibuvJobs } from './libuv-jobs.js';
export type * from './jobs.js';
export { hasContent, isBeginning } from './compare-file.js';
export * from './restore-types.js';
export { directoryOfFile, OpenListedFile } from './listed-file.js';
export { openJobs } from './open-jobs.js';
export type { RawRules } from './raw-types.js';
export { closeRow, readAttributesOf } from './read-attributes.js';
export {
  attributeNotSet,
  FLAGS_OF_INODE,
  immutableTarget,
  moveOver,
  targetError,
  targetFull,
  temporaryName,
} from './target-file.js';
export { serveFarStore } from './store-proxy.js';
export { SharedDigests } from './recent-digests.js';
export {
  type DirectoryTask,
  itemsOfPath,
  oneOfBlock,
  packBlock,
  splitBlock,
  unpackBlock,
} from './directory-block.js';
export { RACY_WINDOW_NS } from './inspect.js';
export { MOST_NAMES } from './large-directory.js';
export { RecordMemory } from './record-memory.js';
