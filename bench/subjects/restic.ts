import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { Command } from '../measure.js';
import { bytesBelow, confinedTo, type Place, type Subject } from './subject.js';

/** restic with its default settings; it always encrypts. Creating the repository is not measured. */
export function restic(place: Place): Subject {
  const run = (...args: string[]): Command => ({
    argv: ['restic', '--repo', place.store, '--cache-dir', join(place.home, 'cache'), ...args],
    env: { ...confinedTo(place.home), RESTIC_PASSWORD: 'benchmark' },
  });
  return {
    name: 'restic',
    about: 'default settings, encrypted',
    version: { argv: ['restic', 'version'] },
    prepare: () => [run('init', '--quiet', ...compressingFormat())],
    first: () => run('backup', '--quiet', place.tree),
    again: () => run('backup', '--quiet', place.tree),
    restore: () => run('restore', '--quiet', 'latest', '--target', place.out),
    // restic restores the whole path.
    restoredTree: () => join(place.out, place.tree),
    storeBytes: () => bytesBelow(place.store),
    mount: (at) => ({
      command: run('mount', at),
      shownTree: join(at, 'snapshots', 'latest', place.tree),
    }),
  };
}

/**
 * Returns the options that make restic 0.14 compress. It compresses only in repositories of format 2, which it does not
 * create by default.
 */
function compressingFormat(): string[] {
  const help = spawnSync('restic', ['help', 'init'], { encoding: 'utf8' });
  return (help.stdout ?? '').includes('--repository-version') ? ['--repository-version', '2'] : [];
}
