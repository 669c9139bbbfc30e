import { basename, join } from 'node:path';
import type { Command } from '../measure.js';
import type { SmallMachine } from '../small-machine.js';
import { bytesBelow, confinedTo, type Place, type Subject } from './subject.js';

const CLIENT = 'bench';

/** How our own tool is run. */
export interface TardisOptions {
  readonly checkout: string;
  readonly level: number | undefined;
  /** Run with the profile `pi`, on that machine, as a subject of its own. */
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
  const archive = ['-D', place.store, '-C', CLIENT, ...profile];
  const backup = [
    ...archive,
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
    // Not on the small machine: a version is all that is wanted.
    version: { argv: [program('tardis'), '--version'], env: confinedTo(place.home) },
    prepare: () => [],
    first: () => run('tardis', ...backup, '--create', place.tree),
    again: () => run('tardis', ...backup, place.tree),
    restore: () => run('regenerate', ...archive, '-o', place.out, place.tree),
    restoredTree: () => join(place.out, basename(place.tree)),
    // Without the reserve: it is free space that is kept, and as large for any tree.
    storeBytes: () => bytesBelow(place.store) - bytesBelow(join(place.store, CLIENT, 'reserve')),
  };
}
