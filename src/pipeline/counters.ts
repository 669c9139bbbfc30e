/**
 * Counters of all stages. Each counter has the name of a stage, and the number of items that the stage works on at
 * once, from the settings.
 */
import type { PipelineSettings } from './settings.js';
import { StageCounters, type StageFigures } from './stage.js';

/**
 * Number of parcels cut at once. A parcel begins with the rest of the parcel before it, so they are cut one after the
 * other.
 */
const CUT_CONCURRENCY = 1;
/** Minimum number of large files in work at once, if no setting determines it. */
const LARGE_FILES = 8;

/** Counters of the stages that parts of large files pass. */
interface PartCounters {
  readonly hash: StageCounters;
  readonly delta: StageCounters;
  readonly compress: StageCounters;
  readonly encrypt: StageCounters;
}

export class Counters {
  readonly walk: StageCounters;
  readonly compare: StageCounters;
  readonly cut: StageCounters;
  readonly hash: StageCounters;
  readonly compress: StageCounters;
  readonly encrypt: StageCounters;
  readonly send: StageCounters;
  /** Large files in work, including those that wait for answers. */
  readonly large: StageCounters;
  readonly open: StageCounters;
  readonly basis: StageCounters;
  /** Parts that are read at once, in all of their stages. */
  readonly parts: StageCounters;
  readonly part: PartCounters;
  readonly sendLarge: StageCounters;

  constructor(settings: PipelineSettings) {
    const { workers } = settings;
    const parcels = workers + 1;
    const parts = settings.streamConcurrency || Math.max(workers, 1);
    const files = settings.largeConcurrency || Math.max(parts, LARGE_FILES);
    const compressed = settings.compressConcurrency || parcels;
    this.walk = new StageCounters('walk', settings.walkConcurrency);
    this.compare = new StageCounters('compare', settings.compareConcurrency);
    this.cut = new StageCounters('cut', CUT_CONCURRENCY);
    this.hash = new StageCounters('hash', settings.hashConcurrency || parcels);
    this.compress = new StageCounters('compress', compressed);
    this.encrypt = new StageCounters('encrypt', compressed);
    this.send = new StageCounters('send', settings.sendConcurrency);
    this.large = new StageCounters('large', files);
    this.open = new StageCounters('large open', files);
    this.basis = new StageCounters('large basis', files);
    this.parts = new StageCounters('large parts', parts);
    this.part = {
      hash: new StageCounters('large hash', parts),
      delta: new StageCounters('large delta', parts),
      compress: new StageCounters('large compress', parts),
      encrypt: new StageCounters('large encrypt', parts),
    };
    this.sendLarge = new StageCounters('large send', files);
  }

  /** Sets the number of parts that are read at once. */
  widenParts(concurrency: number): void {
    const { hash, delta, compress, encrypt } = this.part;
    for (const each of [this.parts, hash, delta, compress, encrypt]) each.concurrency = concurrency;
  }

  /** Returns the figures of all stages, in pipeline order. */
  figures(): StageFigures[] {
    const { walk, compare, cut, hash, compress, encrypt, send } = this;
    const { large, open, basis, parts, part, sendLarge } = this;
    const ofParts = [parts, part.hash, part.delta, part.compress, part.encrypt];
    const ofFiles = [large, open, basis, ...ofParts, sendLarge];
    return [walk, compare, cut, hash, compress, encrypt, send, ...ofFiles].map((stage) =>
      stage.figures(),
    );
  }
}
