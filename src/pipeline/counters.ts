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
/** Number of streams that are read at once. */
const STREAMS_AT_ONCE = 1;

export class Counters {
  readonly walk: StageCounters;
  readonly compare: StageCounters;
  readonly cut: StageCounters;
  readonly read: StageCounters;
  readonly need: StageCounters;
  readonly build: StageCounters;
  readonly send: StageCounters;
  /** Large files in work, including those that wait for answers. */
  readonly large: StageCounters;
  readonly open: StageCounters;
  readonly basis: StageCounters;
  /** Parts that are read at once. */
  readonly parts: StageCounters;
  readonly sendLarge: StageCounters;
  /** Outputs of commands; one at a time, since each takes memory of its own. */
  readonly streams: StageCounters;

  constructor(settings: PipelineSettings) {
    const { workers } = settings;
    const parcels = workers + 1;
    const parts = settings.streamConcurrency || Math.max(workers, 1);
    const files = settings.largeConcurrency || Math.max(parts, LARGE_FILES);
    const built = settings.buildConcurrency || parcels;
    this.walk = new StageCounters('walk', settings.walkConcurrency);
    this.compare = new StageCounters('compare', settings.compareConcurrency);
    this.cut = new StageCounters('cut', CUT_CONCURRENCY);
    this.read = new StageCounters('read', settings.readConcurrency || parcels);
    this.need = new StageCounters('need', built);
    this.build = new StageCounters('build', built);
    this.send = new StageCounters('send', settings.sendConcurrency);
    this.large = new StageCounters('large', files);
    this.open = new StageCounters('large open', files);
    this.basis = new StageCounters('large basis', files);
    this.parts = new StageCounters('large parts', parts);
    this.sendLarge = new StageCounters('large send', files);
    this.streams = new StageCounters('large streams', STREAMS_AT_ONCE);
  }

  /** Returns the figures of all stages, in pipeline order. */
  figures(): StageFigures[] {
    const { walk, compare, cut, read, need, build, send } = this;
    const { large, open, basis, parts, sendLarge, streams } = this;
    const small = [walk, compare, cut, read, need, build, send];
    const all = [...small, large, open, basis, parts, sendLarge, streams];
    return all.map((stage) => stage.figures());
  }
}
