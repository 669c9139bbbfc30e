/** Walks the sources by the rules of a backup, and sends nothing. */
import { readRoots, rootFiles, rootTasks } from '../../client/index.js';
import { throwIfAborted } from '../../errors/index.js';
import { BackupProgress, Budget, itemsOf, StageCounters, walkAlone } from '../../pipeline/index.js';
import { nodeSystem, type System } from '../../system/index.js';
import { openJobs, type WalkOutput } from '../../workers/index.js';
import { excludeOptions } from './exclude-settings.js';
import type { Settings } from '../../config/index.js';
import type { Total } from './backup-line.js';

interface SourceWalk {
  readonly system: System;
  readonly settings: Settings<'tardis'>;
  readonly roots: ReturnType<typeof readRoots>['roots'];
  /** Counters, updated during the walk. */
  readonly progress: BackupProgress;
  readonly threads: number;
  readonly signal: AbortSignal;
  readonly onBatch?: (batch: WalkOutput) => void;
}

/** Runs the walk. Throws INTERRUPTED, and the errors that end a walk. */
export async function walkSources(walk: SourceWalk): Promise<void> {
  const { settings, roots, progress, signal } = walk;
  await using jobs = await openJobs(walk.system, { threads: walk.threads, recentDigests: 1 });
  const sources = {
    start: rootTasks(roots),
    files: rootFiles(roots),
    readsDevices: settings.readDevices,
    firstFreeSlot: roots.length,
    excludes: excludeOptions(settings),
    crossDevices: settings.crossDevice,
    maxDepth: settings.maxDepth,
  };
  const budget = new Budget(settings.budgetBytes, settings.budgetItems);
  const counters = { walk: new StageCounters('walk', settings.walkConcurrency) };
  const flight = { starve: () => undefined, enterBatch: () => undefined };
  const context = { jobs, sources, budget, progress, counters, flight };
  await walkAlone(context, async (batch) => {
    throwIfAborted(signal);
    for (const { held } of batch.large) await jobs.run('dropNames', { held });
    walk.onBatch?.(batch);
    budget.items.give(itemsOf(batch));
  });
}

/**
 * Counts the data of a first backup in advance, so that a terminal can show the progress. The backup's own walk is
 * delayed by the reading of files, and has the total only at its end. The count runs in a separate thread, and only if
 * progress is shown.
 */
export class ScanAhead {
  private readonly controller = new AbortController();
  private running: Promise<void> | undefined;

  constructor(private readonly settings: Settings<'tardis'>) {}

  /** Starts counting. `onTotal` is called with the total once it is known. */
  start(onTotal: (total: Total) => void): void {
    this.running ??= this.scan(onTotal);
  }

  async stop(): Promise<void> {
    this.controller.abort();
    await this.running;
  }

  /** Counts the sources. Never rejects, since the backup itself reports errors of the sources. */
  private async scan(onTotal: (total: Total) => void): Promise<void> {
    const { settings } = this;
    const system = nodeSystem();
    const progress = new BackupProgress();
    const { signal } = this.controller;
    try {
      const { roots } = readRoots(system, settings.directories, settings);
      const quiet = { ...settings, verbosity: 0 };
      await walkSources({ system, settings: quiet, roots, progress, threads: 1, signal });
      const { entries, directories, scannedBytes } = progress;
      onTotal({ files: entries - directories, bytes: scannedBytes });
    } catch {
      return; // the total is then known only after the backup's own walk
    }
  }
}
