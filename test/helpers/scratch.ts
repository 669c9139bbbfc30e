/** Folders that are removed with the test that made them. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { ExecutionContext } from 'ava';

/** A file system in memory, which does not exist on every machine. */
const MEMORY = '/dev/shm';
const MEMORY_WANTED_BYTES = 2 ** 30;

function folderIn(t: ExecutionContext, parent: string): string {
  const folder = fs.mkdtempSync(path.join(parent, 'tardis-test-'));
  t.teardown(() => removeFolder(folder));
  return folder;
}

/**
 * Deletes a folder and all that is in it. Starting `rm` for each would copy the page tables of a process with many
 * threads, a quarter of the time of a run of small tests. It deletes what Node.js cannot: names that are not UTF-8,
 * paths longer than the system accepts at once.
 */
function removeFolder(folder: string): void {
  try {
    fs.rmSync(folder, { recursive: true, force: true });
  } catch {
    // `rm` deletes the rest
  }
  if (fs.existsSync(folder)) spawnSync('rm', ['-rf', folder]);
}

/** Creates an empty folder, which is removed when the test is over. */
export function scratch(t: ExecutionContext): string {
  return folderIn(t, os.tmpdir());
}

/** Creates such a folder in memory if possible: a sync of a disk takes milliseconds, and a commit has several. */
export function scratchInMemory(t: ExecutionContext): string {
  return folderIn(t, memoryFolder());
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
