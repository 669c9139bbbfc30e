import { basename, join } from 'node:path';
import type { Command } from '../measure.js';
import type { SmallMachine } from '../small-machine.js';
import { bytesBelow, confinedTo, type Place, type Subject } from './subject.js';

const CLIENT = 'bench';

/** The settings with which tardis itself is run. */
export interface TardisOptions {
  readonly checkout: string;
  readonly level: number | undefined;
  /** Runs with the profile `pi`, on that machine, as a separate subject. */
  readonly pi?: SmallMachine;
}

/** Our own tool, run from the checkout with a server of its own. */
export function tardis(place: Place, { checkout, level, pi }: TardisOptions): Subject {
  const program = (name: string): string => join(checkout, 'bin', name);
  const profile = ['--profile', pi === undefined ? 'desktop' : 'pi'];
  const run = (name: string, ...args: string[]): Command => {
    const [first = program(name), ...rest] = [...(pi?.prefix ?? []), program(name), ...args];
    return { argv: [first, ...rest], env: confinedTo(place.home) };
  };
  const history = ['-D', place.store, '-C', CLIENT, ...profile];
  const backup = [
    ...history,
    '--local',
    ...(level === undefined ? [] : ['--compress-level', String(level)]),
  ];
  return {
    name: pi === undefined ? 'tardis' : 'tardis-pi',
    about: [
      '--local',
      level === undefined ? 'default level' : `zstd level ${level}`,
      'not encrypted',
      ...(pi === undefined ? [] : ['--profile pi', pi.about]),
    ].join(', '),
    // The version is printed without the limits of the small machine.
    version: { argv: [program('tardis'), '--version'], env: confinedTo(place.home) },
    prepare: () => [],
    first: () => run('tardis', ...backup, '--create', place.tree),
    again: () => run('tardis', ...backup, place.tree),
    restore: () => run('regenerate', ...history, '-o', place.out, place.tree),
    restoredTree: () => join(place.out, basename(place.tree)),
    // The reserve is excluded: it is free space kept back, of the same size for any tree.
    storeBytes: () => bytesBelow(place.store) - bytesBelow(join(place.store, CLIENT, 'reserve')),
  };
}
