import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Limits of the small machine: a quarter of one core, and 512 MB. It is like a small Raspberry Pi, relative to a
 * desktop.
 */
const PERIOD_US = 100_000;
const CPU_SHARE = 0.25;
const MEMORY_BYTES = 512 * 1024 * 1024;

/** A control group with tight limits, and a description of the limits. */
export interface SmallMachine {
  /** Arguments to put before a command. */
  readonly prefix: readonly string[];
  readonly about: string;
  remove(): void;
}

/** A file of the control group, and the value to write to it. */
type Limit = readonly [directory: string, file: string, value: string];

/**
 * Creates a small machine with control groups, of version 2 or 1, whichever is writable. Cached files count towards the
 * memory of the process that writes them. So with a work place in memory only processor time is limited. If neither
 * version is writable, nothing is limited, and `about` gives the reason.
 */
export function makeSmallMachine(inMemory: boolean, root = '/sys/fs/cgroup'): SmallMachine {
  const name = `tardis-bench-${process.pid}`;
  const limits = existsSync(join(root, 'cgroup.controllers'))
    ? limitsOfVersion2(root, name, inMemory)
    : limitsOfVersion1(root, name, inMemory);
  const made: string[] = [];
  const remove = (): void => {
    for (const directory of made.splice(0)) {
      try {
        rmdirSync(directory);
      } catch {
        // A process that is about to end may still use the group. An empty group that is left costs nothing.
      }
    }
  };
  try {
    for (const [directory, file, value] of limits) {
      if (!made.includes(directory)) {
        mkdirSync(directory);
        made.push(directory);
      }
      writeFileSync(join(directory, file), value);
    }
  } catch (error) {
    remove();
    const why = error instanceof Error ? error.message : String(error);
    return { prefix: [], about: `not on a small machine: no control group (${why})`, remove };
  }
  const enter =
    'until [ "$1" = -- ]; do echo $$ >"$1/cgroup.procs" || exit; shift; done; shift; exec "$@"';
  const oneCore = spawnSync('taskset', ['--version']).status === 0;
  return {
    prefix: ['sh', '-c', enter, 'sh', ...made, '--', ...(oneCore ? ['taskset', '-c', '0'] : [])],
    about: [
      `${CPU_SHARE * 100} % of ${oneCore ? 'one core' : "a core's time"}`,
      inMemory
        ? 'memory not limited, since the work place is in memory and would count'
        : `${MEMORY_BYTES >> 20} MB`,
    ].join(', '),
    remove,
  };
}

function limitsOfVersion2(root: string, name: string, inMemory: boolean): Limit[] {
  const directory = join(root, name);
  try {
    writeFileSync(join(root, 'cgroup.subtree_control'), '+cpu +memory');
  } catch {
    // The controllers may be enabled already. Otherwise the files below are missing, and that error is reported.
  }
  return [
    [directory, 'cpu.max', `${CPU_SHARE * PERIOD_US} ${PERIOD_US}`],
    ...(inMemory ? [] : [[directory, 'memory.max', String(MEMORY_BYTES)] as const]),
  ];
}

function limitsOfVersion1(root: string, name: string, inMemory: boolean): Limit[] {
  const [cpu, memory] = [join(root, 'cpu', name), join(root, 'memory', name)];
  return [
    [cpu, 'cpu.cfs_period_us', String(PERIOD_US)],
    [cpu, 'cpu.cfs_quota_us', String(CPU_SHARE * PERIOD_US)],
    ...(inMemory ? [] : [[memory, 'memory.limit_in_bytes', String(MEMORY_BYTES)] as const]),
  ];
}
