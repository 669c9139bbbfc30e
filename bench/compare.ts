import { writeFileSync } from 'node:fs';
import { type Plot, writePlots } from './answer.js';
import type { Bench } from './bench.js';
import { treeLine } from './change.js';
import { QUESTIONS, type FigureTable } from './figures.js';
import { formatLimits, measureLimits } from './limits.js';
import { describeMachine, machineLine } from './machine.js';
import { UsageError } from './options.js';
import { barChart } from './plot.js';
import { formatTable, formatVerdicts, linesOf, toJson } from './report.js';
import { runRounds } from './rounds.js';
import { makeSmallMachine, PI } from './small-machine.js';
import { chooseSubjects, plainAndEncrypted } from './subjects/choose.js';
import { runOn, type Subject } from './subjects/subject.js';
import { tardis } from './subjects/tardis.js';
import { judge } from './targets.js';

/**
 * Compares tardis with its peers and with the limits of the machine. Returns false if a measurement failed, or if
 * `--check` is given and a target is missed.
 */
export async function compareIn(bench: Bench): Promise<boolean> {
  const { workplace, options } = bench;
  const small = options.pi ? makeSmallMachine(PI, workplace.inMemory) : undefined;
  try {
    const onPi = small && runOn(small, tardis(workplace.place('tardis-pi'), bench, { isPi: true }));
    return await compare(bench, [...plainAndEncrypted(bench), ...(onPi ? [onPi] : [])]);
  } finally {
    small?.remove();
  }
}

async function compare(bench: Bench, candidates: readonly Subject[]): Promise<boolean> {
  requireColdDisk(bench);
  const { workplace, options, print } = bench;
  const { subjects, versions } = await chooseSubjects(bench, candidates);
  const machine = describeMachine(workplace, versions);
  const size = await bench.makeTree();
  print(`tree: ${treeLine(size)}`);
  const sampled = options.memory ? ('own' as const) : undefined;
  const outcome = await runRounds({ bench, subjects, sampled });
  const { table, failures, notes } = outcome;
  const verdicts = judge(table);
  const hasLimits = subjects.some((subject) => subject.name === 'raw');
  const limits = hasLimits ? await measureLimits(bench, table) : [];
  const failed = failures.map((f) => `FAILED: ${f.question} ${f.subject}: ${f.message}`);
  const oursIsThere = subjects.some((subject) => subject.name === 'tardis');
  const paragraphs = [
    `${treeLine(size)}; medians of ${options.runs}`,
    formatTable(table),
    hasLimits ? formatLimits(limits, table) : '',
    oursIsThere || options.check ? formatVerdicts(verdicts) : '',
    subjects.map((subject) => `${subject.name}: ${subject.about}`).join('\n'),
    notes.map((note) => `note: ${note}`).join('\n'),
    failed.join('\n'),
    machineLine(machine),
  ];
  process.stdout.write(`${paragraphs.filter((text) => text !== '').join('\n\n')}\n`);
  if (options.json !== undefined) {
    const about = Object.fromEntries(subjects.map((subject) => [subject.name, subject.about]));
    const more = { options, machine, tree: size, subjects: about, limits, failures, notes };
    writeFileSync(options.json, toJson(table, more));
  }
  writePlots(plotsOf(table), options);
  return failures.length === 0 && (!options.check || verdicts.every((verdict) => verdict.met));
}

/**
 * If a cold disk is requested, throws unless cached files can be dropped from memory and the work place is on a disk.
 */
export function requireColdDisk({ options, workplace: { inMemory, root } }: Bench): void {
  if (!options.disk) return;
  if (inMemory) {
    throw new UsageError(`${root} is in memory, which is never cold: give a disk with --work DIR`);
  }
  if (process.geteuid?.() !== 0) {
    throw new UsageError('--disk makes the system forget its files in memory: run it as root');
  }
}

function plotsOf(table: FigureTable): Plot[] {
  const lines = linesOf(table);
  const chart = (
    name: string,
    title: string,
    unit: string,
    valueOf: (line: (typeof lines)[number]) => number | undefined,
  ): Plot => ({
    name,
    svg: barChart({
      title,
      unit,
      groups: QUESTIONS.map((question) => ({
        label: question,
        bars: lines.flatMap((line) => {
          const value = valueOf(line);
          const isShown = line.question === question && value !== undefined;
          return isShown ? [{ label: line.subject, value }] : [];
        }),
      })).filter((group) => group.bars.length > 0),
    }),
  });
  return [
    chart('time', 'Time', 's', (line) => line.medianMs / 1000),
    chart('memory', 'Memory of all processes', 'MB', (l) => l.pssBytes && l.pssBytes / 1e6),
    chart('store', 'Store', 'MB', (l) => l.medianStoreBytes && l.medianStoreBytes / 1e6),
  ];
}
