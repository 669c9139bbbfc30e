export { BackupPipeline } from './pipeline.js';
export type { PipelineSettings } from './settings.js';
export { Budget } from './budget.js';
export { Counters } from './counters.js';
export { Effort, type EffortSettings } from './effort.js';
export type { PipelineHooks } from './hooks.js';
export { type LargeFile, type Parcel, ParcelCutter, type ParcelLimits } from './parcel.js';
export type {
  BackupPeer,
  HeadBatch,
  OfferedBasis,
  OutgoingParcel,
  PeerStream,
  SignatureSink,
  StreamEnd,
  StreamStart,
} from './peer.js';
export { LostPlaces, type Place, type Presence } from './presence.js';
export { BackupProgress, PartUnderWay } from './progress.js';
export type { StreamedFile } from './send-streams.js';
export { stage, StageCounters, type StageFigures } from './stage.js';
export { PartSlot, Streams } from './streams.js';
export { itemsOf, walkAlone } from './walk.js';
