export { attributeBytes } from './attributes.js';
export { DirectoryTable as DirectoryNumbers } from './directory-table.js';
export { FileSystem, type FileSystemOptions } from './file-system.js';
export { FuseKernel, type Kernel, type ReplyData, type Unique } from './kernel.js';
export { LastingHistory, type LastingOptions } from './lasting-history.js';
export { mountAt, type Mounted, type MountRequest } from './mounting.js';
export { nodeOf, placeOf as placeOfNode } from './node-ids.js';
export { Errno, Op } from './protocol.js';
export { WalkAhead } from './walk-ahead.js';
