import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from '../measure.js';

/** Where a subject works. Everything is below the work place and belongs to this subject alone. */
export interface Place {
  /** The tree that is backed up; its last component is its name in some restores. */
  readonly tree: string;
  /** The store, made by the first backup; not there before. */
  readonly store: string;
  /** An empty directory to restore into. */
  readonly out: string;
  /** Caches, state and everything else a tool keeps for a user: it counts as memory, but not as store. */
  readonly home: string;
}

/** Something that backs up and restores, described as commands to run. */
export interface Subject {
  readonly name: string;
  /** How it is run, for the reader of the table. */
  readonly about: string;
  /** Prints a version; the subject is skipped when this fails. */
  readonly version: Command;
  /** What has to be done once before the first backup and is not measured. */
  prepare(): readonly Command[];
  /** The first backup into a new store. */
  first(): Command;
  /** Every later backup. */
  again(): Command;
  /** Restores everything of the last backup. */
  restore(): Command;
  /** Where the tree is after the restore. */
  restoredTree(): string;
  /** How large the store is. */
  storeBytes(): number;
}

/** The sizes of all files below a path, summed. */
export function bytesBelow(path: string): number {
  const stat = lstatSync(path);
  if (!stat.isDirectory()) {
    return stat.size;
  }
  return readdirSync(path).reduce((sum, name) => sum + bytesBelow(join(path, name)), 0);
}

/** An environment in which a tool keeps everything of its own, temporary files too, below `home`. */
export function confinedTo(home: string): Record<string, string> {
  return {
    HOME: home,
    TMPDIR: home,
    XDG_CACHE_HOME: join(home, '.cache'),
    XDG_CONFIG_HOME: join(home, '.config'),
    XDG_DATA_HOME: join(home, '.local/share'),
    XDG_STATE_HOME: join(home, '.local/state'),
    XDG_RUNTIME_DIR: home,
  };
}
