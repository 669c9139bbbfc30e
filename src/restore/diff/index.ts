export * from './against-source.js';
export { Contents } from './contents.js';
export * from './differences.js';
export { DiskSide } from './disk-side.js';
export { equalPaths, type EqualPaths } from './equal-paths.js';
export { type Hunk, type LineDifference, lineDifference } from './lines.js';
export { SetSide } from './set-side.js';
export type { Seen, Side } from './side.js';
