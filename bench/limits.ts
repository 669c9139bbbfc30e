import { mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench } from './bench.js';
import { align, seconds, shownRatio } from './cells.js';
import { median, type FigureTable, type Question } from './figures.js';
import type { Command } from './measure.js';

/** Maximum number of rounds. It is small, since programs that do only one thing vary little. */
const ROUNDS_MAX = 3;
const OURS = 'tardis';

/** A step that is part of every backup or restore, done by a program that does nothing else. */
interface Step {
  readonly name: string;
  readonly about: string;
  /** The operation of tardis that contains the step. */
  readonly within: Question;
  /** True if that operation has the step only with other settings than it is measured with. */
  readonly isExtra?: boolean;
  /** Script of sh. Its arguments are the tree, an archive of it, the compressed archive, and an empty directory. */
  readonly script: string;
}

const FILES = 'find "$1" -type f -print0 | xargs -0';
/** A key of a cipher for the benchmark. */
const KEY = '-K 00 -iv 00 -nosalt';

const STEPS: readonly Step[] = [
  {
    name: 'walk',
    about: 'find with a stat of each entry',
    within: 'unchanged',
    script: `find "$1" -size -1 -printf ''`,
  },
  { name: 'read', about: 'cat', within: 'first', script: `${FILES} cat >/dev/null` },
  {
    name: 'hash',
    about: 'openssl dgst -sha256, with reading',
    within: 'first',
    script: `${FILES} openssl dgst -sha256 -r >/dev/null`,
  },
  {
    name: 'compress',
    about: 'zstd -1 in one thread, of one archive',
    within: 'first',
    script: 'zstd -1 --single-thread -q -f "$2" -o "$3"',
  },
  {
    name: 'encrypt',
    about: 'openssl enc -aes-256-ctr of what is compressed',
    within: 'first',
    isExtra: true,
    script: `openssl enc -aes-256-ctr ${KEY} -in "$3" -out /dev/null 2>/dev/null`,
  },
  {
    name: 'decompress',
    about: 'zstd -d',
    within: 'restore',
    script: 'zstd -d -q -c "$3" >/dev/null',
  },
  {
    name: 'create',
    about: 'tar x of one archive',
    within: 'restore',
    script: 'tar xf "$2" -C "$4"',
  },
];

/** Cost of a step on this machine, and its ratio to the cost of tardis. */
export interface Limit {
  readonly name: string;
  readonly about: string;
  readonly within: Question;
  readonly wallMs: number;
  readonly cpuMs: number;
  /** Processor time of tardis's operation divided by that of the step; undefined if the operation was not measured, or not with this step. */
  readonly cpuRatio: number | undefined;
}

/** Measures what each step costs on this machine now, as medians. */
export async function measureLimits(bench: Bench, table: FigureTable): Promise<Limit[]> {
  const { root, tree } = bench.workplace;
  const [archive, packed, out] = ['limit.tar', 'limit.zst', 'limit'].map((name) =>
    join(root, name),
  ) as [string, string, string];
  const sh = (script: string): Command => ({
    argv: ['sh', '-c', script, 'sh', tree, archive, packed, out],
  });
  const costs = STEPS.map((step) => ({ step, wallMs: [] as number[], cpuMs: [] as number[] }));
  await bench.run(sh('tar cf "$2" -C "$1" .'));
  for (let round = 0; round < Math.min(bench.options.runs, ROUNDS_MAX); round++) {
    for (const { step, wallMs, cpuMs } of costs) {
      mkdirSync(out);
      const measured = await bench.run(sh(step.script));
      rmSync(out, { recursive: true });
      wallMs.push(measured.wallMs);
      cpuMs.push(measured.cpuMs);
    }
    bench.print(
      `limits: round ${round + 1}, of ${(statSync(packed).size / 1e6).toFixed(0)} MB compressed`,
    );
  }
  for (const file of [archive, packed]) rmSync(file);
  return costs.map(({ step: { name, about, within, isExtra = false }, ...cost }) => {
    const cpuMs = median(cost.cpuMs);
    const cpuRatio = isExtra ? undefined : cpuOver(cpuMs, within, table);
    return { name, about, within, wallMs: median(cost.wallMs), cpuMs, cpuRatio };
  });
}

/**
 * Returns the processor time of tardis's operation divided by that of a step; undefined if the operation was not
 * measured, or the step took no time that can be measured.
 */
function cpuOver(stepCpuMs: number, within: Question, table: FigureTable): number | undefined {
  const ours = table.find(within, OURS)?.cpuMs ?? [];
  return ours.length === 0 || stepCpuMs === 0 ? undefined : median(ours) / stepCpuMs;
}

/** Returns the limits as a table, with the sum of the steps of each operation. */
export function formatLimits(limits: readonly Limit[], table: FigureTable): string {
  const rows = limits.map(({ name, within, wallMs, cpuMs, cpuRatio, about }) => [
    name,
    about,
    within,
    seconds(wallMs),
    seconds(cpuMs),
    shownRatio(cpuRatio),
  ]);
  const sums = [
    ['walk', 'hash', 'compress'],
    ['decompress', 'create'],
  ].map((names) => {
    const parts = limits.filter(({ name }) => names.includes(name));
    const cpuMs = parts.reduce((sum, one) => sum + one.cpuMs, 0);
    const within = parts.at(-1)!.within;
    const ratio = cpuOver(cpuMs, within, table);
    return [names.join(' + '), '', within, '', seconds(cpuMs), shownRatio(ratio)];
  });
  return align([
    ['limit', 'by', 'within', 'median s', 'CPU s', `CPU of ${OURS} x`],
    ...rows,
    ...sums,
  ]);
}
