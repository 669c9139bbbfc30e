/** The operations of a client's life, as commands that are measured one by one, and how their cost grows. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench } from './bench.js';
import type { Command } from './measure.js';
import { confinedTo, type Place } from './subjects/subject.js';
import { TARDIS_CLIENT } from './subjects/tardis.js';

/** All operations, in the order in which they are measured: later ones need the sets of earlier ones. */
export const OPERATIONS = [
  'first',
  'unchanged',
  'find',
  'restore',
  'check',
  'mount',
  'changed',
  'purge',
  'rebuild',
] as const;
export type Operation = (typeof OPERATIONS)[number];

/** The operations that this machine can do: without FUSE there is no mount. */
export const POSSIBLE: readonly Operation[] = OPERATIONS.filter(
  (name) => name !== 'mount' || existsSync('/dev/fuse'),
);

/** Mounts at `$1` by the rest of the arguments, lists every entry below `$2`, and unmounts. */
const MOUNT_AND_LIST = `at=$1 tree=$2; shift 2; mkdir -p "$at"; "$@" "$at" & made=$!
until mountpoint -q "$at"; do kill -0 $made || exit 1; sleep 0.05; done
ls -lR "$tree" >/dev/null; status=$?
umount "$at" 2>/dev/null || fusermount3 -u "$at"; wait $made && exit $status`;

/** Returns the command of an operation on the paths of a client that does not encrypt. */
export function commandOf(
  operation: Operation,
  bench: Bench,
  place: Place,
  paths: readonly string[] = [place.tree],
): Command {
  const run = (tool: string, ...args: string[]): Command => ({
    argv: [bench.program(tool), ...args],
    env: confinedTo(place.home),
  });
  const client = ['-D', place.store, '-C', TARDIS_CLIENT];
  switch (operation) {
    case 'first':
      return run('tardis', ...client, '--local', '--create', ...paths);
    case 'unchanged':
    case 'changed':
      return run('tardis', ...client, '--local', ...paths);
    case 'find':
      return run('lstardis', ...client, '--find', '*-7.txt');
    case 'restore':
      return run('regenerate', ...client, '-o', place.out, ...paths);
    case 'check':
      return run('sonic', 'check', ...client);
    case 'mount': {
      const at = join(place.home, 'mount');
      const { argv, env } = run('tardisfs', '--foreground', ...client);
      const shown = join(at, 'Current', ...paths);
      return { argv: ['sh', '-c', MOUNT_AND_LIST, 'sh', at, shown, ...argv], env: env ?? {} };
    }
    case 'purge':
      return run('sonic', 'purge', ...client, '--keep-last', '1', '--yes');
    case 'rebuild':
      return run('sonic', 'rebuild', ...client);
  }
}

/**
 * Returns the exponent with which a cost grows from the second largest number to the largest: 1 if it is proportional.
 * Undefined for fewer than two numbers.
 */
export function exponentOf(
  costs: readonly (readonly [number: number, cost: number])[],
): number | undefined {
  const [below, above] = costs.toSorted(([a], [b]) => a - b).slice(-2);
  if (below === undefined || above === undefined) return undefined;
  return Math.log(above[1] / below[1]) / Math.log(above[0] / below[0]);
}
