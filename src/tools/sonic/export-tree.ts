/** Restores a set as a tree whose files are shared with the tree of another set, as far as they are equal. */
import type { History } from '../../history/index.js';
import { type SetNumber, shownRoot, SLASH_BYTES } from '../../model/index.js';
import {
  type EarlierTree,
  type RestoreFailure,
  type RestoreProgress,
  runRestore,
} from '../../restore/index.js';
import { equalPaths } from '../../restore/diff/index.js';
import type { System } from '../../system/index.js';
import type { JobRunner } from '../../workers/index.js';

/** The objects that writing a set uses. */
export interface ExportMeans {
  readonly system: System;
  readonly history: History;
  readonly jobs: JobRunner;
  readonly workers: number;
  readonly progress: RestoreProgress;
  readonly signal: AbortSignal;
  /** Prints a warning. */
  readonly warn: (text: string) => void;
}

/** A set that a directory shows. */
export interface SetTree {
  readonly set: SetNumber;
  readonly directory: Buffer;
}

/** Returns the paths of a set, by which a restore or an archive has all of it. */
export async function wholeOf(history: History, set: SetNumber): Promise<Buffer[]> {
  return (await history.roots(set)).map(({ path }) => shownRoot(path));
}

/** Makes a directory show a set, and returns the entries that it lacks. All of it is on the disk on return. */
export async function restoreTree(
  { system, history, jobs, workers, progress, signal, warn }: ExportMeans,
  { set, directory }: SetTree,
  { near, setFlags = true }: { readonly near: SetTree | undefined; readonly setFlags?: boolean },
): Promise<RestoreFailure[]> {
  const earlier = near && (await earlierTree(near));
  const request = {
    set,
    paths: await wholeOf(history, set),
    hierarchy: true,
    output: directory,
    workers,
    policy: { overwrite: 'always', setFlags } as const,
    numericIds: true,
    earlier,
    isFinal: true,
  };
  const means = { history, jobs, progress, signal };
  const { failures, losses } = await runRestore(system, means, request);
  if (losses.length > 0) warn(`the file system does not support ${losses.join(', ')}`);
  return failures;

  async function earlierTree(tree: SetTree): Promise<EarlierTree> {
    const isEqual = await equalPaths(system, history, { before: tree.set, after: set, signal });
    return {
      directory: tree.directory,
      isEqual: (path) => isEqual(Buffer.concat([SLASH_BYTES, path])),
    };
  }
}
