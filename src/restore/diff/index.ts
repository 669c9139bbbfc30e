export {
  compareWithSource,
  newSourceCounts,
  type SourceCounts,
  type SourceFinding,
} from './against-source.js';
export { Contents } from './contents.js';
export {
  type Aspect,
  type Compared,
  compareTrees,
  type Difference,
  isDifference,
  type NotCompared,
} from './differences.js';
export { DiskSide } from './disk-side.js';
export { type Hunk, type LineDifference, lineDifference } from './lines.js';
export { SetSide } from './set-side.js';
export type { Seen, Side } from './side.js';
