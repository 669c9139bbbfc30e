import { basename, join } from 'node:path';
import type { Command } from '../measure.js';
import type { SmallMachine } from '../small-machine.js';
import { bytesBelow, confinedTo, type Place, type Subject } from './subject.js';

/** Name of the client in tardis's store. */
export const TARDIS_CLIENT = 'bench';

/** The settings with which tardis is run. */
export interface TardisOptions {
  readonly checkout: string;
  readonly level: number | undefined;
  /**
   * Limits of a small machine; if given, tardis runs with the profile `pi` under these limits, as a separate subject.
   */
  readonly pi?: SmallMachine;
  /** File with a password; if given, the client encrypts, as a separate subject. */
  readonly passwordFile?: string;
}

/**
 * Memory needed to derive the keys from a password. It is fixed, so that figures do not depend on the default of a
 * profile.
 */
const LOGIN = ['--password-memory', '32M'];

/** Returns tardis as a subject, run from the checkout with a server of its own. */
export function tardis(
  place: Place,
  { checkout, level, pi, passwordFile }: TardisOptions,
): Subject {
  const program = (name: string): string => join(checkout, 'bin', name);
  const profile = ['--profile', pi === undefined ? 'desktop' : 'pi'];
  const run = (name: string, ...args: string[]): Command => {
    const [first = program(name), ...rest] = [...(pi?.prefix ?? []), program(name), ...args];
    return { argv: [first, ...rest], env: confinedTo(place.home) };
  };
  const isEncrypted = passwordFile !== undefined;
  const password = isEncrypted ? ['-F', passwordFile] : [];
  const client = ['-D', place.store, '-C', TARDIS_CLIENT, ...password];
  const history = [...client, ...profile];
  const create = isEncrypted ? ['--create', ...LOGIN] : ['--create'];
  const backup = [
    ...history,
    '--local',
    ...(level === undefined ? [] : ['--compress-level', String(level)]),
  ];
  return {
    name: isEncrypted ? 'tardis-encrypted' : pi === undefined ? 'tardis' : 'tardis-pi',
    about: [
      '--local',
      level === undefined ? 'default level' : `zstd level ${level}`,
      isEncrypted ? 'encrypted' : 'not encrypted',
      ...(pi === undefined ? [] : ['--profile pi', pi.about]),
    ].join(', '),
    // The version is printed without the limits of the small machine.
    version: { argv: [program('tardis'), '--version'], env: confinedTo(place.home) },
    prepare: () => [],
    first: () => run('tardis', ...backup, ...create, place.tree),
    again: () => run('tardis', ...backup, place.tree),
    restore: () => run('regenerate', ...history, '-o', place.out, place.tree),
    restoredTree: () => join(place.out, basename(place.tree)),
    // The reserve is not counted. It is free space kept back, and has the same size for any tree.
    storeBytes: () =>
      bytesBelow(place.store) - bytesBelow(join(place.store, TARDIS_CLIENT, 'reserve')),
    mount: (at) => ({
      command: run('tardisfs', '--foreground', ...client, at),
      shownTree: join(at, 'Current', place.tree),
    }),
    reading: (path) => ({
      archive: run('regenerate', ...history, '--tar', '-', path),
      restore: run('regenerate', ...history, '-o', place.out, path),
    }),
  };
}
