import { basename, join } from 'node:path';
import type { Bench } from '../bench.js';
import type { Command } from '../measure.js';
import { bytesBelow, confinedTo, type Place, type Subject } from './subject.js';

/** Name of the client in tardis's store. */
export const TARDIS_CLIENT = 'bench';

/** The settings with which tardis is run, beside the options of the benchmark. */
interface TardisSettings {
  /** True for the profile `pi`, as a separate subject. */
  readonly isPi?: boolean;
  /** Number of worker threads, as a separate subject; by default that of the profile. */
  readonly workers?: number;
  /** File with a password; if given, the client encrypts, as a separate subject. */
  readonly passwordFile?: string;
}

/**
 * Memory needed to derive the keys from a password. It is fixed, so that figures do not depend on the default of a
 * profile.
 */
export const LOGIN = ['--password-memory', '32M'];

/** Returns tardis as a subject, run from the checkout with a server of its own. */
export function tardis(
  place: Place,
  bench: Bench,
  { isPi = false, workers, passwordFile }: TardisSettings = {},
): Subject {
  const { level } = bench.options;
  const profile = [
    '--profile',
    isPi ? 'pi' : 'desktop',
    ...(workers === undefined ? [] : ['--workers', String(workers)]),
  ];
  const run = (name: string, ...args: string[]): Command => ({
    argv: [bench.program(name), ...args],
    env: confinedTo(place.home),
  });
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
    name: [
      'tardis',
      ...(isEncrypted ? ['encrypted'] : []),
      ...(isPi ? ['pi'] : []),
      ...(workers === undefined ? [] : [`${workers}w`]),
    ].join('-'),
    about: [
      '--local',
      level === undefined ? 'default level' : `zstd level ${level}`,
      isEncrypted ? 'encrypted' : 'not encrypted',
      ...(isPi ? ['--profile pi'] : []),
      ...(workers === undefined ? [] : [`--workers ${workers}`]),
    ].join(', '),
    version: { argv: [bench.program('tardis'), '--version'], env: confinedTo(place.home) },
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
