export { FileSystem, type FileSystemOptions } from './file-system.js';
export { FuseKernel, type Kernel } from './kernel.js';
export { type Mounted, mountAt, type MountRequest } from './mounting.js';
