/**
 * Counts the data of a first backup in advance, so that a terminal can show the progress. The backup's own walk is
 * delayed by the reading of files, and has the total only at its end. The count runs in a separate thread, and only if
 * progress is shown.
 */
import { readRoots } from '../../client/index.js';
import type { Settings } from '../../config/index.js';
import { BackupProgress } from '../../pipeline/index.js';
import { nodeSystem } from '../../system/index.js';
import type { Total } from './shown-backup.js';
import { walkSources } from './walk-sources.js';

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
