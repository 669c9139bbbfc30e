import { rmSync } from 'node:fs';
import type { Answer } from './answer.js';
import { type Bench, rest } from './bench.js';
import { megabytes, seconds } from './cells.js';
import { median } from './figures.js';
import { commandOf, exponentOf, type Operation, POSSIBLE } from './operations.js';
import type { Options } from './options.js';
import { lineChart } from './plot.js';
import {
  changeSmallFiles,
  FOOTPRINT_BYTES,
  makeSmallFiles,
  type Shape,
  SHAPES,
} from './small-files.js';
import { verdictOf } from './targets.js';

/** The operations of which memory is sampled. */
const SAMPLED: ReadonlySet<Operation> = new Set(['first', 'unchanged']);
/** Maximum number of files of the smaller tree with which the memory of the largest tree is compared. */
const BASE_FILES_MAX = 100_000;
const EXPONENT_LIMIT = 1.05;
const PSS_RATIO_LIMIT = 1.2;

/** The figures of one number of files, one shape and one operation. */
interface Line {
  readonly shape: Shape;
  readonly files: number;
  readonly operation: Operation;
  readonly wallMs: number[];
  readonly cpuMs: number[];
  pssBytes: number | undefined;
}

/**
 * Measures if the cost of an entry, in processor time and in memory, is the same for any number of entries. The files
 * are small, so that a cost that grows with their number is visible.
 */
export async function growth(bench: Bench): Promise<Answer> {
  const { workplace, options } = bench;
  const lines: Line[] = [];
  const largest = Math.max(...options.sizes);
  workplace.requireRoomFor((largest * FOOTPRINT_BYTES) / 2);
  const shapes = SHAPES.filter((shape) => shape.includes(options.only));
  for (const shape of shapes) {
    for (const files of options.sizes) {
      lines.push(...(await measureLines(bench, { shape, files })));
    }
  }
  return answer(lines, shapes, options);
}

async function measureLines(
  bench: Bench,
  what: { readonly shape: Shape; readonly files: number },
): Promise<Line[]> {
  const { workplace, options, print } = bench;
  const { shape, files } = what;
  const lines = POSSIBLE.map(
    (operation): Line => ({ ...what, operation, wallMs: [], cpuMs: [], pssBytes: undefined }),
  );
  // Memory is sampled in a round of its own, because sampling takes time.
  for (let round = 0; round < options.runs + (options.memory ? 1 : 0); round++) {
    print(`making ${files} files: ${shape}`);
    rmSync(workplace.tree, { recursive: true, force: true });
    makeSmallFiles(workplace.tree, shape, files);
    await rest();
    const place = workplace.freshPlace('tardis');
    const sampleMemory = round === options.runs;
    for (const line of lines) {
      const { operation } = line;
      if (sampleMemory && !SAMPLED.has(operation)) continue;
      if (operation === 'changed') changeSmallFiles(workplace.tree, shape, files);
      const measured = await bench.run(commandOf(operation, bench, place), sampleMemory);
      if (operation === 'restore') workplace.emptyOut('tardis');
      if (sampleMemory) {
        line.pssBytes = measured.pssBytes;
      } else {
        line.wallMs.push(measured.wallMs);
        line.cpuMs.push(measured.cpuMs);
      }
      const cost = `${seconds(measured.wallMs)} s, ${seconds(measured.cpuMs)} CPU s`;
      const memory = sampleMemory ? `, ${megabytes(measured.pssBytes)} MB` : '';
      print(`${shape}, ${files} files, ${operation}: ${cost}${memory}`);
    }
  }
  return lines;
}

function answer(lines: readonly Line[], shapes: readonly Shape[], options: Options): Answer {
  const { sizes } = options;
  const each = shapes.flatMap((shape) => POSSIBLE.map((operation) => ({ shape, operation })));
  const of = (shape: Shape, operation: Operation): Line[] =>
    lines.filter((line) => line.shape === shape && line.operation === operation);
  /** The exponent up to a number of files. */
  const exponent = (shape: Shape, operation: Operation, files: number): number | undefined =>
    exponentOf(
      of(shape, operation)
        .filter((line) => line.files <= files)
        .map((line) => [line.files, median(line.cpuMs)]),
    );
  const largest = Math.max(...sizes);
  const smaller = sizes.filter((files) => files <= BASE_FILES_MAX && files < largest);
  const base = Math.max(Math.min(...sizes), ...smaller);
  const pssRatio = (shape: Shape, operation: Operation): number | undefined => {
    const at = (files: number): number =>
      of(shape, operation).find((line) => line.files === files)?.pssBytes ?? NaN;
    const ratio = at(largest) / at(base);
    return Number.isNaN(ratio) || largest === base ? undefined : ratio;
  };
  return {
    question: 'growth',
    about: `small files; medians of ${options.runs}`,
    headings: ['shape', 'operation', 'files', 's', 'CPU s', 'CPU µs per file', 'exponent', 'MB'],
    rows: lines.map((line) => [
      line.shape,
      line.operation,
      line.files.toLocaleString('en'),
      seconds(median(line.wallMs)),
      seconds(median(line.cpuMs)),
      perFileUs(line).toFixed(1),
      exponent(line.shape, line.operation, line.files)?.toFixed(2) ?? '-',
      megabytes(line.pssBytes, 0),
    ]),
    verdicts: [
      ...each.map(({ shape, operation }) =>
        verdictOf(
          `${shape}, ${operation}: exponent of the processor time up to ${largest} files`,
          EXPONENT_LIMIT,
          exponent(shape, operation, largest),
        ),
      ),
      ...each
        .filter(({ operation }) => SAMPLED.has(operation))
        .map(({ shape, operation }) =>
          verdictOf(
            `${shape}, ${operation}: PSS, ${largest} files times ${base}`,
            PSS_RATIO_LIMIT,
            pssRatio(shape, operation),
          ),
        ),
    ],
    notes: [
      'an exponent is that of the processor time from the number of files before; 1 is proportional',
      'mount lists every entry with ls -lR; of 100 files, one has changed before changed, purge and rebuild',
    ],
    figures: lines.map((line) => ({ ...line, medianMs: median(line.wallMs) })),
    plots: shapes.map((shape) => ({
      name: `growth-${shape.replaceAll(' ', '-')}`,
      svg: lineChart({
        title: `Processor time per file: ${shape}`,
        unit: 'µs',
        xLabel: 'files',
        series: POSSIBLE.map((operation) => ({
          label: operation,
          points: of(shape, operation).map((line) => [line.files, perFileUs(line)] as const),
        })),
      }),
    })),
  };
}

function perFileUs(line: Line): number {
  return (median(line.cpuMs) * 1000) / line.files;
}
