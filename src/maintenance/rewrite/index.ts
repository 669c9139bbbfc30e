export {
  copyClient,
  type CopyProgress,
  type CopyRequest,
  type CopyResult,
  type CopyStep,
} from './copy.js';
export type { ClientPlace } from './copy-target.js';
export { finishSwitched, forgetHere, type ForgetOptions, requestsDigest } from './forget.js';
export { Generations, type Marker, type Stage } from './generations.js';
export { copyWhole, type WholeCopy } from './whole-copy.js';
export { requireOwnPacks } from './own-packs.js';
export {
  rekeyClient,
  type RekeyProgress,
  type RekeyRequest,
  type RekeyResult,
  type RekeyStep,
  removeOld,
} from './job.js';
