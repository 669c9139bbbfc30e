import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Answer } from './answer.js';
import type { Bench } from './bench.js';
import { seconds } from './cells.js';
import { median } from './figures.js';
import { sizeOfTree, treeLine, type TreeSize } from './change.js';
import { confinedTo, type Place } from './subjects/subject.js';
import { FOOTPRINT_BYTES, makeSmallFiles } from './small-files.js';
import type { Command } from './measure.js';
import { commandOf, type Operation, POSSIBLE } from './operations.js';
import { lineChart } from './plot.js';
import { TARDIS_CLIENT } from './subjects/tardis.js';
import { type Verdict, verdictOf } from './targets.js';

/** Number of files of the directory that is backed up again and again. */
const DIRECTORY_FILES = 1000;
const CHANGED_FILES = 20;
/** Number of sets that remain after the others are deleted. */
const KEPT_SETS = 100;
const REPORT_EVERY = 50;

/** The operations that are measured at each number of sets. */
const OPERATIONS: readonly Operation[] = POSSIBLE.filter((name) =>
  ['unchanged', 'find', 'restore', 'check', 'mount', 'rebuild'].includes(name),
);
/** Further questions. Only the list may cost more with each set. */
const QUESTIONS = ['list', 'versions', 'directory', 'start'] as const;
type Question = Operation | (typeof QUESTIONS)[number];

const DELETE_LIMIT_MS = 30_000;
const DELETE_LIMIT_BYTES = 150e6;
/** Maximum processor time, as a multiple of that with the fewest sets. */
const GROWTH_LIMIT = 1.2;

/** The figures of one operation at one number of sets. */
interface Line {
  readonly question: Question;
  readonly sets: number;
  readonly wallMs: number[];
  readonly cpuMs: number[];
}

/**
 * Measures the cost of operations on a long history. First it makes one set of the whole tree, and then many sets of a
 * directory beside the tree, in which one file always changes. At each requested number of sets it measures the
 * operations, and at the end the deletion of most sets during a backup.
 */
export async function sets(bench: Bench): Promise<Answer> {
  const { workplace, options, print } = bench;
  const size = await treeFor(bench);
  const { tree } = workplace;
  const place = workplace.freshPlace('tardis');
  const directory = join(workplace.root, 'directory');
  mkdirSync(directory);
  const watched = join(directory, 'watched');
  writeFileSync(watched, 'first');
  for (let file = 1; file < DIRECTORY_FILES; file++) {
    writeFileSync(join(directory, `file ${file}`), `content ${file}`);
  }
  const client = ['-D', place.store, '-C', TARDIS_CLIENT];
  const tool = (name: string, ...args: string[]): Command => ({
    argv: [bench.program(name), ...args],
    env: confinedTo(place.home),
  });
  const of = (operation: Operation, ...paths: string[]): Command =>
    commandOf(operation, bench, place, paths);
  const lab: Lab = { bench, place, tool, of, directory, watched };
  print('the first set');
  await bench.run(of('first', tree, directory));
  const lines: Line[] = [];
  let made = 1;
  for (const count of options.sets) {
    for (; made < count; made++) {
      if (made % REPORT_EVERY === 0) print(`set ${made} of ${count}`);
      await makeSet(lab, made + 1);
    }
    lines.push(...(await measureAt(lab, count)));
    made += options.runs; // the unchanged ones
  }
  print('deleting');
  const last = Math.max(2, made - KEPT_SETS);
  const deleting = bench.run(tool('sonic', 'delete', ...client, '--yes', `2-${last}`), true);
  const beside = await bench.run(of('changed', directory)).catch((error: unknown) => {
    print(String(error));
    return undefined;
  });
  const deleted = await deleting;
  const rest = await bench.run(tool('sonic', 'orphans', ...client), true);
  const deletion = {
    wallMs: deleted.wallMs + rest.wallMs,
    cpuMs: deleted.cpuMs + rest.cpuMs,
    pssBytes: Math.max(deleted.pssBytes ?? 0, rest.pssBytes ?? 0),
    besideMs: beside?.wallMs,
  };
  return answer(lines, deletion, last - 1, `${treeLine(size)}; medians of ${options.runs}`);
}

/** The client, and the functions that run its commands. */
interface Lab {
  readonly bench: Bench;
  readonly place: Place;
  readonly tool: (name: string, ...args: string[]) => Command;
  readonly of: (operation: Operation, ...paths: string[]) => Command;
  readonly directory: string;
  readonly watched: string;
}

/** Makes a set in which some files of the directory have changed. */
async function makeSet({ bench, of, directory, watched }: Lab, set: number): Promise<void> {
  writeFileSync(watched, `as of set ${set}`);
  for (let change = 0; change < CHANGED_FILES; change++) {
    const file = 1 + ((set * 131 + change * 17) % (DIRECTORY_FILES - 1));
    writeFileSync(join(directory, `file ${file}`), `content ${file} as of set ${set}`);
  }
  await bench.run(of('changed', directory));
}

/** Measures all operations with the present number of sets. */
async function measureAt(
  { bench, place, tool, of, directory, watched }: Lab,
  count: number,
): Promise<Line[]> {
  const client = ['-D', place.store, '-C', TARDIS_CLIENT];
  const questions: Record<(typeof QUESTIONS)[number], Command> = {
    list: tool('sonic', 'list', ...client),
    versions: tool('lstardis', ...client, watched),
    directory: tool('lstardis', ...client, '-b', String(count), directory),
    start: tool('lstardis', '--version'),
  };
  const operations = OPERATIONS.map((name) => [name, of(name, directory)] as const);
  const lines: Line[] = [];
  for (const [name, command] of [...Object.entries(questions), ...operations]) {
    const line: Line = { question: name as Question, sets: count, wallMs: [], cpuMs: [] };
    for (let round = 0; round < bench.options.runs; round++) {
      const { wallMs, cpuMs } = await bench.run(command);
      line.wallMs.push(wallMs);
      line.cpuMs.push(cpuMs);
      bench.workplace.emptyOut('tardis');
    }
    bench.print(`${count} sets, ${name}: ${seconds(median(line.cpuMs))} CPU s`);
    lines.push(line);
  }
  return lines;
}

interface Deletion {
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly pssBytes: number;
  readonly besideMs: number | undefined;
}

function answer(
  lines: readonly Line[],
  deletion: Deletion,
  deletedSets: number,
  about: string,
): Answer {
  const names = [...new Set(lines.map((line) => line.question))];
  const counts = [...new Set(lines.map((line) => line.sets))];
  const at = (name: Question, sets: number): Line | undefined =>
    lines.find((line) => line.question === name && line.sets === sets);
  const cpuMs = (name: Question, sets: number): number => median(at(name, sets)?.cpuMs ?? []);
  const [fewest, most] = [Math.min(...counts), Math.max(...counts)];
  const deleteWhat = `${deletedSets} sets deleted, and what they held freed`;
  const perThousand = (name: Question): string =>
    fewest === most
      ? '-'
      : (((cpuMs(name, most) - cpuMs(name, fewest)) / (most - fewest)) * 1000).toFixed(0);
  const verdicts: Verdict[] = [
    ...names
      .filter((name) => name !== 'list' && name !== 'start' && fewest !== most)
      .map((name) =>
        verdictOf(
          `${name}: processor time with ${most} sets, times ${fewest}`,
          GROWTH_LIMIT,
          cpuMs(name, most) / cpuMs(name, fewest),
        ),
      ),
    verdictOf(`${deleteWhat}: s`, DELETE_LIMIT_MS / 1000, deletion.wallMs / 1000),
    verdictOf(`${deleteWhat}: MB of memory`, DELETE_LIMIT_BYTES / 1e6, deletion.pssBytes / 1e6),
  ];
  return {
    question: 'sets',
    about,
    headings: [
      'operation',
      '',
      ...counts.map((count) => `${count} sets: CPU s`),
      'CPU ms per 1,000 sets',
    ],
    rows: names.map((name) => [
      name,
      '',
      ...counts.map((count) => seconds(cpuMs(name, count))),
      perThousand(name),
    ]),
    verdicts,
    notes: [
      `${deleteWhat}: ${seconds(deletion.wallMs)} s, ${seconds(deletion.cpuMs)} CPU s; a backup beside that: ${deletion.besideMs === undefined ? 'refused' : `${seconds(deletion.besideMs)} s`}`,
      'each set changes 21 of 1,000 files of a directory beside the tree; unchanged, restore and mount are of that directory',
    ],
    figures: { lines, deletion },
    plots: [
      {
        name: 'sets',
        svg: lineChart({
          title: 'Processor time by number of sets',
          unit: 's',
          xLabel: 'sets',
          series: names
            .filter((name) => name !== 'start')
            .map((name) => ({
              label: name,
              points: counts.map((count) => [count, cpuMs(name, count) / 1000] as const),
            })),
        }),
      },
    ],
  };
}

/** Creates the tree: a copy of `--tree`, or small files, since only their number matters here. */
async function treeFor(bench: Bench): Promise<TreeSize> {
  const { workplace, options, print } = bench;
  if (options.tree !== undefined) return bench.makeTree();
  workplace.requireRoomFor((options.files * FOOTPRINT_BYTES) / 2);
  print(`making ${options.files} files`);
  makeSmallFiles(workplace.tree, 'tree', options.files);
  return sizeOfTree(workplace.tree);
}
