/** Reports to the caller: entries that were saved or left out, directories, and failures, which enter the set too. */
import type { LeftOut } from '../excludes/index.js';
import { EntryType, joinPath, RowReader } from '../model/index.js';
import { type Failure, type ReadOutput, type ParcelInput, runOf } from '../workers/index.js';
import type { OpenDirectories } from './directories.js';
import type { PipelineHooks } from './hooks.js';
import type { BackupPeer } from './peer.js';
import type { BackupProgress } from './progress.js';

export class Report {
  constructor(
    private readonly peer: BackupPeer,
    private readonly progress: BackupProgress,
    private readonly directories: OpenDirectories,
    private readonly hooks: PipelineHooks,
  ) {}

  /** Records failures in the set, and reports them. The next backup compares their directories again. */
  note(failures: readonly Failure[]): void {
    if (failures.length === 0) return;
    for (const { slot } of failures) this.directories.unsettle(slot);
    this.peer.notes(failures);
    this.reportFailures(failures);
  }

  /** Counts and reports failures that cannot be recorded at an entry of the set. */
  reportFailures(failures: readonly Failure[]): void {
    if (failures.length === 0) return;
    for (const { what } of failures) this.progress[what] += 1;
    this.hooks.onFailures(failures);
  }

  directory(path: Buffer, isSame: boolean): void {
    this.hooks.onDirectory?.(path, isSame);
  }

  leftOut(paths: readonly LeftOut[]): void {
    if (paths.length > 0) this.hooks.onLeftOut?.(paths);
  }

  saved(path: Buffer): void {
    this.hooks.onSaved?.(path);
  }

  /**
   * Returns a function that reports a parcel's entries when its read job has ended. Call this before the job, since
   * the paths are transferred to the job. Nothing is copied if the caller needs no report.
   */
  savedOf({ paths, pathEnds }: ParcelInput): (output: ReadOutput) => void {
    const { onSaved } = this.hooks;
    if (onSaved === undefined) return () => undefined;
    const copy = Buffer.from(paths);
    const ends = pathEnds.slice();
    return (output) => {
      const rows = new RowReader(output.rows);
      let at = 0;
      output.rowEnds.forEach((end, section) => {
        const directory = runOf(copy, ends, section);
        for (; at < end; at += rows.rowBytes(at)) {
          if (rows.type(at) !== EntryType.directory) onSaved(joinPath(directory, rows.name(at)));
        }
      });
    };
  }
}
