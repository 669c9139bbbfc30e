import { basename, join } from 'node:path';
import type { Command } from '../measure.js';
import { bytesBelow, confinedTo, type Place, type Subject } from './subject.js';

const CLIENT = 'bench';

/** Our own tool, run from the checkout with a server of its own. */
export function tardis(
  place: Place,
  options: { readonly checkout: string; readonly level: number | undefined },
): Subject {
  const program = (name: string): string => join(options.checkout, 'bin', name);
  const level = options.level === undefined ? [] : ['--compress-level', String(options.level)];
  const run = (name: string, ...args: string[]): Command => ({
    argv: [program(name), ...args],
    env: confinedTo(place.home),
  });
  const archive = ['-D', place.store, '-C', CLIENT];
  const backup = [...archive, '--local', ...level];
  return {
    name: 'tardis',
    about: `--local, ${options.level === undefined ? 'default level' : `zstd level ${options.level}`}, not encrypted`,
    version: run('tardis', '--version'),
    prepare: () => [],
    first: () => run('tardis', ...backup, '--create', place.tree),
    again: () => run('tardis', ...backup, place.tree),
    restore: () => run('regenerate', ...archive, '-o', place.out, place.tree),
    restoredTree: () => join(place.out, basename(place.tree)),
    storeBytes: () => bytesBelow(place.store),
  };
}
