/** The state that all stages of one backup share. Each stage takes the fields it needs. */
import { Subject } from 'rxjs';
import type { JobRunner } from '../workers/index.js';
import { Budget } from './budget.js';
import { Counters } from './counters.js';
import { OpenDirectories } from './directories.js';
import { Effort } from './compression-effort.js';
import { Encryption } from './encryption.js';
import { MissingMounts } from './missing-mounts.js';
import type { PipelineHooks } from './hooks.js';
import { Outbox } from './outbox.js';
import type { LargeFile } from './parcel.js';
import type { BackupPeer } from './peer.js';
import { ALWAYS_THERE, LostPlaces } from './presence.js';
import { BackupProgress } from './progress.js';
import { Report } from './report.js';
import type { PipelineSettings } from './settings.js';
import { SimilarContents } from './similar.js';
import { Streams } from './streams.js';
import type { WalkOptions } from './walk.js';

/** Counts the batches, parcels and large files between the walk and the server. */
export class Flight {
  /**
   * Emits if nothing is in flight while the walk waits: the budget that the walk waits for is then held by the cutter.
   */
  readonly standstills = new Subject<undefined>();
  private count = 0;
  /** Number of batches that wait for the budget in the walk. */
  private starving = 0;

  /** Counts a batch that leaves the walk. `hasStarved` is true if it waited there. */
  enterBatch(hasStarved: boolean): void {
    if (hasStarved) this.starving -= 1;
    this.enter();
  }

  enter(): void {
    this.count += 1;
  }

  leave(): void {
    this.count -= 1;
    this.check();
  }

  /** Records that a batch waits for the budget in the walk. */
  starve(): void {
    this.starving += 1;
    this.check();
  }

  private check(): void {
    if (this.starving > 0 && this.count === 0) this.standstills.next(undefined);
  }
}

/** The parts of a pipeline that its caller supplies. */
export interface ContextParts {
  readonly peer: BackupPeer;
  readonly sources: WalkOptions;
  readonly settings: PipelineSettings;
  readonly hooks: PipelineHooks;
}

export class Context {
  readonly settings: PipelineSettings;
  readonly sources: WalkOptions;
  /** The server. */
  readonly peer: BackupPeer;
  /** Bounds the queues of all stages. */
  readonly budget: Budget;
  readonly counters: Counters;
  readonly progress = new BackupProgress();
  readonly report: Report;
  /** Batches, parcels and large files between the walk and the server. */
  readonly flight = new Flight();
  readonly directories: OpenDirectories;
  readonly outbox: Outbox;
  /** Roots and mounts that disappear during the backup, and mount points that were empty at its start. */
  readonly places: LostPlaces;
  readonly mounts: MissingMounts;
  /** Compression effort, and the limits of parcels, which depend on it. */
  readonly effort: Effort;
  /** Limits of the large files that are read at once. */
  readonly streams: Streams;
  readonly encryption: Encryption;
  /** The large contents that this machine remembers. */
  readonly similar: SimilarContents;
  /**
   * Files that turned out to be too large for their parcels. The read stage emits them. The stream of large files ends
   * when this subject completes.
   */
  readonly grown = new Subject<LargeFile>();

  constructor(
    /** The worker threads. */
    readonly jobs: JobRunner,
    { peer, sources, settings, hooks }: ContextParts,
  ) {
    this.peer = peer;
    this.sources = sources;
    this.settings = settings;
    this.budget = new Budget(settings.budgetBytes, settings.budgetItems);
    this.counters = new Counters(settings);
    this.outbox = new Outbox(peer, this.budget, this.counters.send.concurrency);
    this.directories = new OpenDirectories((finished, items) =>
      this.outbox.finish(finished, items),
    );
    this.report = new Report(peer, this.progress, this.directories, hooks);
    this.places = new LostPlaces(sources.presence ?? ALWAYS_THERE, (lost) =>
      this.report.note(lost),
    );
    this.mounts = new MissingMounts(peer, (held) => this.report.note(held));
    const effort = { ...settings, smallRawBytes: settings.smallBytes };
    this.effort = new Effort(effort, () => peer.isEmpty);
    this.streams = new Streams(this.budget, this.counters);
    this.encryption = new Encryption(this);
    this.similar = new SimilarContents(settings.budgetBytes);
  }
}
