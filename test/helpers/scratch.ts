/** Folders that are removed with the test that made them. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { ExecutionContext } from 'ava';

/** A file system in memory, which does not exist on every machine. */
const MEMORY = '/dev/shm';
const MEMORY_WANTED_BYTES = 2 ** 30;

/** A test, or its hooks. */
type Owner = Pick<ExecutionContext, 'teardown'>;

function ownedIn(t: Owner, parent: string): string {
  const folder = makeIn(parent);
  t.teardown(() => removeScratch(folder));
  return folder;
}

function makeIn(parent: string): string {
  return fs.mkdtempSync(path.join(parent, 'tardis-test-'));
}

/** Creates an empty folder, which is removed when the test is over. */
export function scratch(t: Owner): string {
  return ownedIn(t, os.tmpdir());
}

/** Creates such a folder in memory if possible: a sync of a disk takes milliseconds, and a commit has several. */
export function scratchInMemory(t: Owner): string {
  return ownedIn(t, memoryFolder());
}

/** Creates an empty folder for several tests, in memory if possible. `removeScratch` deletes it. */
export function makeScratch(): string {
  return makeIn(memoryFolder());
}

/** Writes a file into a folder, and returns its path. */
export function written(folder: string, name: string, content: string | Uint8Array): string {
  const file = path.join(folder, name);
  fs.writeFileSync(file, content);
  return file;
}

/** Creates a folder in a folder, and returns its path. */
export function folderIn(folder: string, name: string): string {
  const made = path.join(folder, name);
  fs.mkdirSync(made, { recursive: true });
  return made;
}

/** The hooks of a file of tests: its `test`. */
export interface FileHooks {
  readonly before: (hook: () => Promise<void>) => void;
  readonly after: { readonly always: (hook: () => void | Promise<void>) => void };
}

/** Gives this process a state directory of its own until all tests of the file are over, and returns its path. */
export function ownState(test: Pick<FileHooks, 'after'>): string {
  const state = makeScratch();
  process.env['XDG_STATE_HOME'] = state;
  test.after.always(() => removeScratch(state));
  return state;
}

/**
 * Deletes a folder and all that is in it. `rm` deletes what Node.js cannot: names that are not UTF-8, paths longer than the
 * system accepts at once. To start it for each folder would take a fifth of the time of a run of small tests, because the
 * page tables of a process with many threads are copied.
 */
export function removeScratch(folder: string): void {
  try {
    fs.rmSync(folder, { recursive: true, force: true });
  } catch {
    spawnSync('rm', ['-rf', '--', folder]);
  }
}

/** Returns the folder of a file system in memory, or that of temporary files if there is no room in memory. */
export function memoryFolder(): string {
  return hasRoomInMemory() ? MEMORY : os.tmpdir();
}

function hasRoomInMemory(): boolean {
  try {
    const { bavail, bsize } = fs.statfsSync(MEMORY);
    fs.accessSync(MEMORY, fs.constants.W_OK);
    return bavail * bsize > MEMORY_WANTED_BYTES;
  } catch {
    return false; // use a disk then
  }
}
