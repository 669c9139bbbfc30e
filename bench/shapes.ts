import { mkdirSync, rmSync } from 'node:fs';
import type { Answer } from './answer.js';
import type { Bench } from './bench.js';
import { megabytes, seconds } from './cells.js';
import { sizeOfTree, treeLine } from './change.js';
import { requireColdDisk } from './compare.js';
import { type Figures, median, type Question } from './figures.js';
import { largeImage } from './large-shapes.js';
import { UsageError } from './options.js';
import { runRounds } from './rounds.js';
import { makeSmallFiles } from './small-files.js';
import { type Limits, makeSmallMachine } from './small-machine.js';
import { chooseSubjects, passwordFileOf, plainAndEncrypted } from './subjects/choose.js';
import { servedRestic, servedTardis } from './subjects/served.js';
import { runOn, type Subject } from './subjects/subject.js';
import { tardis } from './subjects/tardis.js';
import { type Verdict, verdictOf } from './targets.js';
import { planTree, type Sizes, writeTree } from './tree.js';

const OURS = 'tardis-encrypted';
/** Largest multiple of the time of the fastest peer. */
const TIME_LIMIT = 0.9;
/** Sizes of a mixed tree: a mean of about 144 kB, and files of up to 2 GB. */
const MIXED_SIZES: Sizes = { medianBytes: 4500, deviation: 2.63, maxBytes: 2e9 };
const ONE_PROCESSOR: Limits = { cpuShare: 1, memoryBytes: 1 << 30 };
const IMAGE_MIB = 20 * 1024;

/** A tree, the operations that are measured on it, and the programs. */
interface Shape {
  readonly name: string;
  readonly questions: readonly Question[];
  /** Makes the tree, which does not exist. */
  make(tree: string): void;
  /** Changes the tree; by default 1 % of its files are rewritten. Returns the number of changed files. */
  readonly change?: (tree: string, seed: number) => number;
  /** The programs; by default those of a comparison. */
  readonly subjects?: () => readonly Subject[];
  readonly limits?: Limits;
}

interface Line extends Figures {
  readonly shape: string;
}

/** Measures trees of other shapes, machines and numbers of clients than the comparison, beside other programs. */
export async function shapes(bench: Bench): Promise<Answer> {
  requireColdDisk(bench);
  const { workplace, options } = bench;
  const chosen = allShapes(bench).filter(({ name }) => name.includes(options.only));
  if (chosen.length === 0) throw new UsageError(`no shape is called ${options.only}`);
  const lines: Line[] = [];
  const notes = new Set<string>();
  for (const shape of chosen) lines.push(...(await linesOf(bench, shape, notes)));
  const ours = lines.filter(({ subject }) => subject.startsWith('tardis'));
  return {
    question: 'shapes',
    about: `medians of ${options.runs}; ${options.disk ? 'cold' : 'warm'}, on ${workplace.fileSystem}`,
    headings: [
      'shape',
      'operation',
      'of',
      's',
      'CPU s',
      'memory MB',
      'store MB',
      'read MB',
      'sent MB',
      'time × fastest peer',
    ],
    rows: lines.map((line) => [
      line.shape,
      line.question,
      line.subject,
      seconds(median(line.wallMs)),
      seconds(median(line.cpuMs)),
      megabytes(line.pssBytes, 0),
      line.storeBytes.length === 0 ? '–' : megabytes(median(line.storeBytes), 0),
      megabytes(median(line.readBytes), 0),
      megabytes(median(line.sentBytes), 0),
      ours.includes(line) ? (timesFastest(line, lines)?.toFixed(2) ?? '–') : '–',
    ]),
    verdicts: lines
      .filter(({ subject }) => subject === OURS)
      .flatMap((line) => verdict(line, lines)),
    notes: [...notes, 'read and sent: by the whole machine, from its disks and over loopback'],
    figures: lines,
    plots: [],
  };
}

/** Measures a shape. Adds its remarks to `notes`. */
async function linesOf(bench: Bench, shape: Shape, notes: Set<string>): Promise<Line[]> {
  const { workplace, options, print } = bench;
  const { tree } = workplace;
  const { name, questions, limits, change } = shape;
  const machine = limits && makeSmallMachine(limits, workplace.inMemory);
  try {
    const all = shape.subjects?.() ?? plainAndEncrypted(bench);
    const candidates = machine === undefined ? all : all.map((one) => runOn(machine, one));
    const { subjects, versions } = await chooseSubjects(bench, candidates);
    rmSync(tree, { recursive: true, force: true });
    print(`${name}: making the tree`);
    shape.make(tree);
    const size = sizeOfTree(tree);
    workplace.requireRoomFor(size.footprintBytes);
    const { table, failures, ...more } = await runRounds({
      bench,
      subjects,
      questions,
      ...(change === undefined ? {} : { change: (by: number) => change(tree, by) }),
      sampled: options.memory ? 'each' : undefined,
    });
    const abouts = subjects.map((one) => `${one.name}: ${one.about}; ${versions[one.name]}`);
    const failed = failures.map((one) => `FAILED: ${one.question} ${one.subject}: ${one.message}`);
    for (const note of [treeLine(size), ...abouts, ...more.notes, ...failed]) {
      notes.add(`${name}: ${note}`);
    }
    return table.rows().map((row) => ({ ...row, shape: name }));
  } finally {
    machine?.remove();
  }
}

/** Returns the time of a line as a multiple of that of the fastest program that is not ours. */
function timesFastest(line: Line, lines: readonly Line[]): number | undefined {
  const peers = lines.filter(
    ({ shape, question, subject }) =>
      shape === line.shape && question === line.question && !subject.startsWith('tardis'),
  );
  if (peers.length === 0) return undefined;
  return median(line.wallMs) / Math.min(...peers.map(({ wallMs }) => median(wallMs)));
}

function verdict(line: Line, lines: readonly Line[]): Verdict[] {
  const reached = timesFastest(line, lines);
  if (reached === undefined) return [];
  return [
    verdictOf(`${line.shape}, ${line.question}: time of the fastest peer`, TIME_LIMIT, reached),
  ];
}

/** Returns all shapes, with sizes multiplied by the scale. */
function allShapes(bench: Bench): Shape[] {
  const { workplace } = bench;
  const { seed, scale } = bench.options;
  const scaled = (count: number): number => Math.max(1, Math.round(count * scale));
  const sources = (tree: string): void =>
    writeTree(planTree({ seed, files: scaled(80_000) }), tree);
  const image = largeImage(seed, scaled(IMAGE_MIB));
  const passwordFile = passwordFileOf(workplace);
  const served = (clients: number): Shape => ({
    name: `a server over TLS, ${clients} at once`,
    questions: ['first', 'unchanged', 'restore'],
    make: (tree) => writeTree(planTree({ seed, files: scaled(40_000) }), tree),
    subjects: () => [
      servedTardis(workplace.place(OURS), bench, { passwordFile, clients }),
      servedRestic(workplace.place('restic'), { clients }),
    ],
  });
  return [
    {
      name: 'source tree, 80,000 × 16 kB',
      questions: ['first', 'unchanged', 'changed', 'restore'],
      make: sources,
    },
    {
      name: 'mixed tree, 10 GB, mean 144 kB',
      questions: ['first', 'unchanged', 'changed', 'restore'],
      make: (tree) =>
        writeTree(planTree({ seed, files: scaled(70_000), sizes: MIXED_SIZES }), tree),
    },
    {
      name: '1 million × 100 bytes, one processor, 1 GB',
      questions: ['first', 'unchanged', 'restore'],
      make: (tree) => makeSmallFiles(tree, 'deep tree', scaled(1_000_000)),
      limits: ONE_PROCESSOR,
    },
    {
      name: 'image of 20 GB, 5 % changed',
      questions: ['first', 'changed', 'restore'],
      make: (tree) => {
        mkdirSync(tree);
        image.make(tree);
      },
      change: (tree, by) => image.change(tree, by),
    },
    {
      name: '1 million entries',
      questions: ['first', 'unchanged'],
      make: (tree) => makeSmallFiles(tree, 'tree', scaled(1_000_000)),
    },
    ...[1, 2, 4].map(served),
    {
      name: 'workers',
      questions: ['first', 'unchanged', 'restore'],
      make: sources,
      subjects: () =>
        [1, 2, 4, 8].map((workers) =>
          tardis(workplace.place(`${OURS}-${workers}w`), bench, { passwordFile, workers }),
        ),
    },
  ];
}
