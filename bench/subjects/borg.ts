import { join } from 'node:path';
import type { Command } from '../measure.js';
import { bytesBelow, confinedTo, type Place, type Subject } from './subject.js';

/** borg with its default settings, which compress with lz4. Creating the repository is not measured. */
export function borg(place: Place, options: { readonly encryption: string }): Subject {
  let histories = 0;
  const run = (...args: string[]): Command => ({
    argv: ['borg', ...args],
    // borg restores into the current directory.
    cwd: place.out,
    env: {
      ...confinedTo(place.home),
      BORG_BASE_DIR: place.home,
      BORG_PASSPHRASE: 'benchmark',
      BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes',
      BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes',
    },
  });
  const create = (): Command => run('create', `${place.store}::${++histories}`, place.tree);
  return {
    name: 'borg',
    about: `default settings, ${options.encryption}`,
    version: { argv: ['borg', '--version'] },
    prepare: () => [run('init', '-e', options.encryption, place.store)],
    first: create,
    again: create,
    restore: () => run('extract', `${place.store}::${histories}`),
    restoredTree: () => join(place.out, place.tree),
    storeBytes: () => bytesBelow(place.store),
    mount: (at) => ({
      command: run('mount', '--foreground', `${place.store}::${histories}`, at),
      shownTree: join(at, place.tree),
    }),
  };
}
