import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Answer } from './answer.js';
import { median } from './figures.js';
import { makeTree, treeLine } from './make-tree.js';
import { sizeOfTree, type TreeSize } from './change.js';
import { FOOTPRINT_BYTES, makeSmallFiles } from './small-files.js';
import { type Measured, measure } from './measure.js';
import type { Options } from './options.js';
import { type Verdict, verdictOf } from './targets.js';
import type { Workplace } from './workplace.js';

/** Number of files of the directory that is backed up again and again. */
const DIRECTORY_FILES = 10_000;
const CHANGED_FILES = 20;
/** Number of sets that remain after the others are deleted. */
const KEPT_SETS = 100;
const REPORT_EVERY = 50;

/** The measured commands and their limits. A limit is in milliseconds, in addition to the start time of the command. */
const QUESTIONS = {
  versions: { what: 'all versions of one file', limitMs: 50 },
  directory: { what: 'a directory of 10,000 entries as of a set', limitMs: 100 },
  list: { what: 'sonic list', limitMs: 100 },
  restore: { what: 'one file restored', limitMs: 1000 },
} as const;
type Question = keyof typeof QUESTIONS;

const DELETE_LIMIT_MS = 30_000;
const DELETE_LIMIT_BYTES = 150e6;

/**
 * Measures the cost of queries about a long history of a large tree. First it makes one set of the whole tree, and then
 * many sets of a directory beside the tree, in which one file always changes. Then it measures the queries, and the
 * deletion of most sets during a backup.
 */
export async function sets(
  workplace: Workplace,
  checkout: string,
  options: Options & { readonly sets: number },
  print: (line: string) => void,
): Promise<Answer> {
  const size = await treeFor(workplace, options, print);
  const { root, log, tree } = workplace;
  const [store, directory] = [join(root, 'store'), join(root, 'directory')];
  mkdirSync(directory);
  const watched = join(directory, 'watched');
  writeFileSync(watched, 'first');
  for (let file = 1; file < DIRECTORY_FILES; file++) {
    writeFileSync(join(directory, `file ${file}`), `content ${file}`);
  }
  const place = ['-D', store, '-C', 'bench'];
  const run = (tool: string, args: readonly string[], sampleMemory = false): Promise<Measured> =>
    measure({ argv: [join(checkout, 'bin', tool), ...args] }, { logFile: log, sampleMemory });
  const backup = (paths: readonly string[], create = false): Promise<Measured> =>
    run('tardis', [...place, '--local', ...(create ? ['--create'] : []), ...paths]);
  print('the first set');
  await backup([tree, directory], true);
  for (let set = 2; set <= options.sets; set++) {
    writeFileSync(watched, `as of set ${set}`);
    for (let change = 0; change < CHANGED_FILES; change++) {
      const file = 1 + ((set * 131 + change * 17) % (DIRECTORY_FILES - 1));
      writeFileSync(join(directory, `file ${file}`), `content ${file} as of set ${set}`);
    }
    if (set % REPORT_EVERY === 0) print(`set ${set} of ${options.sets}`);
    await backup([directory]);
  }
  const commands: Record<Question, readonly [tool: string, args: readonly string[]]> = {
    versions: ['lstardis', [...place, watched]],
    directory: ['lstardis', [...place, '-b', String(options.sets >> 1), directory]],
    list: ['sonic', ['list', ...place]],
    restore: ['regenerate', [...place, '-o', join(root, 'out'), watched]],
  };
  const times = Object.fromEntries(
    Object.keys(commands).map((name) => [name, []]),
  ) as unknown as Record<Question, number[]>;
  for (let round = 0; round < options.runs; round++) {
    for (const [name, [tool, args]] of Object.entries(commands) as [
      Question,
      (typeof commands)[Question],
    ][]) {
      const start = await run(tool, ['--version']);
      const requested = await run(tool, [
        ...args,
        ...(name === 'restore' ? ['--overwrite', 'always'] : []),
      ]);
      times[name].push(requested.wallMs - start.wallMs);
    }
  }
  print('deleting');
  const last = Math.max(2, options.sets - KEPT_SETS);
  const deleting = run('sonic', ['delete', ...place, '--yes', `2-${last}`], true);
  const beside = await backup([directory]).catch((error: unknown) => {
    print(String(error));
    return undefined;
  });
  const deleted = await deleting;
  const rest = await run('sonic', ['orphans', ...place], true);
  const deletion = {
    wallMs: deleted.wallMs + rest.wallMs,
    pssBytes: Math.max(deleted.pssBytes ?? 0, rest.pssBytes ?? 0),
    besideMs: beside?.wallMs,
  };
  return answer(times, deletion, last - 1, `${treeLine(size)}; ${options.sets} sets`);
}

interface Deletion {
  readonly wallMs: number;
  readonly pssBytes: number;
  readonly besideMs: number | undefined;
}

function answer(
  times: Record<Question, number[]>,
  deletion: Deletion,
  deletedSets: number,
  about: string,
): Answer {
  const requested = Object.entries(QUESTIONS) as [Question, (typeof QUESTIONS)[Question]][];
  const deleteWhat = `${deletedSets} sets deleted, and what they held freed`;
  const verdicts: Verdict[] = [
    ...requested.map(([name, { what, limitMs }]) =>
      verdictOf(`${what}: ms beyond starting`, limitMs, median(times[name])),
    ),
    verdictOf(`${deleteWhat}: s`, DELETE_LIMIT_MS / 1000, deletion.wallMs / 1000),
    verdictOf(`${deleteWhat}: MB of memory`, DELETE_LIMIT_BYTES / 1e6, deletion.pssBytes / 1e6),
  ];
  return {
    question: 'sets',
    about,
    headings: ['what', '', 'ms'],
    rows: [
      ...requested.map(([name, { what }]) => [what, '', median(times[name]).toFixed(0)]),
      [deleteWhat, '', deletion.wallMs.toFixed(0)],
      ['a backup beside that', '', deletion.besideMs?.toFixed(0) ?? 'refused'],
    ],
    verdicts,
    notes: ['questions are medians, less what the command takes to print its version'],
    figures: { times, deletion },
    plots: [],
  };
}

/** Creates the tree: a copy of `--tree`, or small files, since only their number matters here. */
async function treeFor(
  workplace: Workplace,
  options: Options,
  print: (line: string) => void,
): Promise<TreeSize> {
  if (options.tree !== undefined) return makeTree(workplace, options, print);
  workplace.requireRoomFor((options.files * FOOTPRINT_BYTES) / 2);
  print(`making ${options.files} files`);
  makeSmallFiles(workplace.tree, 'tree', options.files);
  return sizeOfTree(workplace.tree);
}
