/** The counters of all stages. The table shows how many items each stage works on at once. */
import type { PipelineSettings } from './settings.js';
import { StageCounters, type StageFigures } from './stage.js';

/** Number of batches of directories compared at once. It hides the round trips of a slow link. */
const COMPARE_CONCURRENCY = 64;

export class Counters {
  readonly walk: StageCounters;
  readonly compare: StageCounters;
  readonly hash: StageCounters;
  readonly compress: StageCounters;
  /** Parts of large files, if they are sent whole or only hashed. */
  readonly large: StageCounters;
  /** Parts of large files that are compared with their basis. */
  readonly delta: StageCounters;
  readonly send: StageCounters;

  constructor(settings: PipelineSettings) {
    const { workers } = settings;
    const parcels = workers + 1;
    const streams = settings.streamConcurrency || Math.max(workers, 1);
    this.walk = new StageCounters('walk', settings.walkConcurrency);
    this.compare = new StageCounters('compare', COMPARE_CONCURRENCY);
    this.hash = new StageCounters('hash', settings.hashConcurrency || parcels);
    this.compress = new StageCounters('compress', settings.compressConcurrency || parcels);
    this.large = new StageCounters('large', streams);
    this.delta = new StageCounters('delta', streams);
    this.send = new StageCounters('send', 1);
  }

  /** Returns the figures of all stages, in pipeline order. */
  figures(): StageFigures[] {
    const { walk, compare, hash, compress, large, delta, send } = this;
    return [walk, compare, hash, compress, large, delta, send].map((stage) => stage.figures());
  }
}
