import { cpus, loadavg, release, totalmem } from 'node:os';
import type { Workplace } from './workplace.js';

/** The machine on which figures were measured. Without it the figures mean little. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly node: string;
  readonly workFileSystem: string;
  /** Load average of the last minute, before anything was measured. */
  readonly loadBefore: number;
  /** Maps each subject to the version that it prints. */
  readonly versions: Readonly<Record<string, string>>;
}

/** Describes this machine; call it before the work begins. */
export function describeMachine(
  workplace: Workplace,
  versions: Readonly<Record<string, string>>,
): Machine {
  const cores = cpus();
  return {
    cpu: cores[0]?.model.trim() ?? 'unknown',
    cores: cores.length,
    memoryBytes: totalmem(),
    kernel: release(),
    node: process.version,
    workFileSystem: workplace.fileSystem,
    loadBefore: loadavg()[0] ?? NaN,
    versions,
  };
}

/** Returns the description of the machine in one line. */
export function machineLine(machine: Machine): string {
  return [
    `${machine.cpu} (${machine.cores} cores)`,
    `${(machine.memoryBytes / 1e9).toFixed(1)} GB`,
    `Linux ${machine.kernel}`,
    `Node ${machine.node}`,
    ...Object.entries(machine.versions).map(([name, version]) => `${name}: ${version}`),
    `work place on ${machine.workFileSystem}`,
    `load before ${machine.loadBefore.toFixed(2)}`,
  ].join('; ');
}
