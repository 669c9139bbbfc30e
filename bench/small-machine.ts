import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const PERIOD_US = 100_000;

/** Processor time and memory of a small machine. */
export interface Limits {
  /** Share of the time of one core. */
  readonly cpuShare: number;
  readonly memoryBytes: number;
}

/** A small Raspberry Pi, relative to a desktop. */
export const PI: Limits = { cpuShare: 0.25, memoryBytes: 512 * 1024 * 1024 };

/** A control group with tight limits, and a description of the limits. */
export interface SmallMachine {
  /** Arguments to put before a command. */
  readonly prefix: readonly string[];
  readonly about: string;
  remove(): void;
}

/** Number of machines that this process has made. */
let machines = 0;

/** A file of the control group, and the value to write to it. */
type Limit = readonly [directory: string, file: string, value: string];

/**
 * Creates a small machine with control groups, of version 2 or 1, whichever is writable. Cached files count towards the
 * memory of the process that writes them. So with a work place in memory only processor time is limited. If neither
 * version is writable, nothing is limited, and `about` gives the reason.
 */
export function makeSmallMachine(
  limits: Limits,
  inMemory: boolean,
  root = '/sys/fs/cgroup',
): SmallMachine {
  const name = `tardis-bench-${process.pid}-${machines++}`;
  const files = existsSync(join(root, 'cgroup.controllers'))
    ? limitsOfVersion2(root, name, limits, inMemory)
    : limitsOfVersion1(root, name, limits, inMemory);
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
    for (const [directory, file, value] of files) {
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
      `${limits.cpuShare * 100} % of ${oneCore ? 'one core' : "a core's time"}`,
      inMemory
        ? 'memory not limited, since the work place is in memory and would count'
        : `${limits.memoryBytes >> 20} MB`,
    ].join(', '),
    remove,
  };
}

function limitsOfVersion2(
  root: string,
  name: string,
  { cpuShare, memoryBytes }: Limits,
  inMemory: boolean,
): Limit[] {
  const directory = join(root, name);
  try {
    writeFileSync(join(root, 'cgroup.subtree_control'), '+cpu +memory');
  } catch {
    // The controllers may be enabled already. Otherwise the files below are missing, and that error is reported.
  }
  return [
    [directory, 'cpu.max', `${cpuShare * PERIOD_US} ${PERIOD_US}`],
    ...(inMemory ? [] : [[directory, 'memory.max', String(memoryBytes)] as const]),
  ];
}

function limitsOfVersion1(
  root: string,
  name: string,
  { cpuShare, memoryBytes }: Limits,
  inMemory: boolean,
): Limit[] {
  const [cpu, memory] = [join(root, 'cpu', name), join(root, 'memory', name)];
  return [
    [cpu, 'cpu.cfs_period_us', String(PERIOD_US)],
    [cpu, 'cpu.cfs_quota_us', String(cpuShare * PERIOD_US)],
    ...(inMemory ? [] : [[memory, 'memory.limit_in_bytes', String(memoryBytes)] as const]),
  ];
}
