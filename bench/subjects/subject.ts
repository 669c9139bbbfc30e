import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from '../measure.js';
import type { SmallMachine } from '../small-machine.js';

/** The directories of a subject. All are below the work place and belong to this subject alone. */
export interface Place {
  /** The tree that is backed up; its last component is its name in some restores. */
  readonly tree: string;
  /** The store, created by the first backup; it does not exist before. */
  readonly store: string;
  /** An empty directory to restore into. */
  readonly out: string;
  /** Directory for caches, state and all other files that a tool keeps for a user. They are not part of the store. */
  readonly home: string;
}

/** A backup tool, described by the commands to run. */
export interface Subject {
  readonly name: string;
  /** Describes the settings, for the reader of the table. */
  readonly about: string;
  /** Command that prints the version. If it fails, the subject is skipped. */
  readonly version: Command;
  /** Returns the commands to run once before the first backup; they are not measured. */
  prepare(): readonly Command[];
  /** True if it takes only trees of one file. */
  readonly needsOneFile?: boolean;
  /** Starts what the commands talk to, after `prepare`, and ends it after the last restore. */
  start?(): Promise<void>;
  stop?(): Promise<void>;
  /** Returns the command of the first backup into a new store. */
  first(): Command;
  /** Returns the command of every later backup. */
  again(): Command;
  /** Returns the command that restores all of the last backup. */
  restore(): Command;
  /** Returns the path of the tree after the restore. */
  restoredTree(): string;
  /** Returns the size of the store. */
  storeBytes(): number;
  /** Returns the command that mounts the last backup at a directory. Undefined for a tool without mounts. */
  mount?(at: string): Mounting;
  /** Returns the commands that read a path of the last backup without a mount. */
  reading?(path: string): { readonly archive: Command; readonly restore: Command };
}

/** The command of a mount, and the place of the backup in it. */
export interface Mounting {
  /** Command that mounts, and runs until the directory is unmounted. */
  readonly command: Command;
  /** Path of the backed-up tree in the mount. */
  readonly shownTree: string;
}

/** Returns a subject whose measured commands run on a small machine. */
export function runOn({ prefix, about }: SmallMachine, subject: Subject): Subject {
  const on = ({ argv, ...rest }: Command): Command => {
    const [program, ...args] = [...prefix, ...argv];
    return { ...rest, argv: [program!, ...args] };
  };
  return {
    ...subject,
    about: `${subject.about}, ${about}`,
    first: () => on(subject.first()),
    again: () => on(subject.again()),
    restore: () => on(subject.restore()),
  };
}

/** Returns the sum of the sizes of all files below a path. */
export function bytesBelow(path: string): number {
  const stat = lstatSync(path);
  if (!stat.isDirectory()) {
    return stat.size;
  }
  return readdirSync(path).reduce((sum, name) => sum + bytesBelow(join(path, name)), 0);
}

/** Returns an environment in which a tool keeps all its files, including temporary ones, below `home`. */
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
