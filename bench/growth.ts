import { rmSync } from 'node:fs';
import type { Answer } from './answer.js';
import { megabytes } from './cells.js';
import { median } from './figures.js';
import { measure, type Measured } from './measure.js';
import type { Options } from './options.js';
import { lineChart } from './plot.js';
import { rest } from './rest.js';
import { FOOTPRINT_BYTES, makeSmallFiles, type Shape, SHAPES } from './small-files.js';
import { tardis } from './subjects/tardis.js';
import { verdictOf } from './targets.js';
import type { Workplace } from './workplace.js';

const KINDS = ['first', 'unchanged'] as const;
type Kind = (typeof KINDS)[number];

/** Maximum number of files of the smaller tree with which the largest tree is compared. */
const BASE_FILES_MAX = 100_000;
const TIME_RATIO_LIMIT = 1.1;
const PSS_RATIO_LIMIT = 1.2;

/** The figures of one number of files, one shape and one kind of backup. */
interface Line {
  readonly shape: Shape;
  readonly files: number;
  readonly kind: Kind;
  readonly wallMs: number[];
  pssBytes: number | undefined;
}

/**
 * Measures if the cost of a file, in time and in memory, is the same for any number of files. The files are small, so
 * that a cost that grows with their number is visible.
 */
export async function growth(
  workplace: Workplace,
  checkout: string,
  options: Options,
  print: (line: string) => void,
): Promise<Answer> {
  const lines: Line[] = [];
  const largest = Math.max(...options.growth);
  workplace.requireRoomFor((largest * FOOTPRINT_BYTES) / 2);
  for (const shape of SHAPES) {
    for (const files of options.growth) {
      print(`making ${files} files: ${shape}`);
      rmSync(workplace.tree, { recursive: true, force: true });
      makeSmallFiles(workplace.tree, shape, files);
      await rest();
      lines.push(...(await measureLines(workplace, checkout, options, { shape, files }, print)));
    }
  }
  return answer(lines, options);
}

async function measureLines(
  workplace: Workplace,
  checkout: string,
  options: Options,
  what: { readonly shape: Shape; readonly files: number },
  print: (line: string) => void,
): Promise<Line[]> {
  const lines = KINDS.map((kind): Line => ({ ...what, kind, wallMs: [], pssBytes: undefined }));
  // Memory is sampled in a round of its own, because sampling takes time.
  for (let i = 0; i < options.runs + (options.memory ? 1 : 0); i++) {
    const subject = tardis(workplace.freshPlace('tardis'), { checkout, level: options.level });
    const sampleMemory = i === options.runs;
    for (const line of lines) {
      const command = line.kind === 'first' ? subject.first() : subject.again();
      const measured: Measured = await measure(command, { logFile: workplace.log, sampleMemory });
      if (sampleMemory) {
        line.pssBytes = measured.pssBytes;
      } else {
        line.wallMs.push(measured.wallMs);
      }
      const memory = megabytes(measured.pssBytes);
      const time = (measured.wallMs / 1000).toFixed(2);
      print(`${what.shape}, ${what.files} files, ${line.kind}: ${time} s, ${memory} MB`);
    }
  }
  return lines;
}

function answer(lines: readonly Line[], options: Options): Answer {
  const sizes = options.growth;
  const largest = Math.max(...sizes);
  const smaller = sizes.filter((files) => files <= BASE_FILES_MAX && files < largest);
  const base = Math.max(Math.min(...sizes), ...smaller);
  const at = (shape: Shape, kind: Kind, files: number): Line | undefined =>
    lines.find((one) => one.shape === shape && one.kind === kind && one.files === files);
  const ratio = (
    shape: Shape,
    kind: Kind,
    valueOf: (line: Line) => number | undefined,
  ): number | undefined => {
    const [small, large] = [at(shape, kind, base), at(shape, kind, largest)];
    const [of, by] = [large && valueOf(large), small && valueOf(small)];
    return of === undefined || by === undefined || largest === base ? undefined : of / by;
  };
  const each = SHAPES.flatMap((shape) => KINDS.map((kind) => ({ shape, kind })));
  const title = (shape: Shape, kind: Kind, what: string): string =>
    `${shape}, ${kind}: ${what}, ${largest} files times ${base}`;
  return {
    question: 'growth',
    about: `small files; medians of ${options.runs}`,
    headings: ['shape', 'backup', 'files', 'median s', 'µs per file', 'PSS MB'],
    rows: lines.map((line) => [
      line.shape,
      line.kind,
      String(line.files),
      (median(line.wallMs) / 1000).toFixed(2),
      perFileUs(line).toFixed(1),
      megabytes(line.pssBytes),
    ]),
    verdicts: [
      ...each.map(({ shape, kind }) =>
        verdictOf(
          title(shape, kind, 'time per file'),
          TIME_RATIO_LIMIT,
          ratio(shape, kind, perFileUs),
        ),
      ),
      ...each.map(({ shape, kind }) =>
        verdictOf(
          title(shape, kind, 'PSS'),
          PSS_RATIO_LIMIT,
          ratio(shape, kind, (l) => l.pssBytes),
        ),
      ),
    ],
    notes: [],
    figures: lines.map((line) => ({ ...line, medianMs: median(line.wallMs) })),
    plots: plotsOf(lines, each, at, sizes),
  };
}

function plotsOf(
  lines: readonly Line[],
  each: readonly { readonly shape: Shape; readonly kind: Kind }[],
  at: (shape: Shape, kind: Kind, files: number) => Line | undefined,
  sizes: readonly number[],
): Answer['plots'] {
  const chart = (
    title: string,
    unit: string,
    valueOf: (line: Line) => number | undefined,
  ): string =>
    lineChart({
      title,
      unit,
      xLabel: 'files',
      series: each.map(({ shape, kind }) => ({
        label: `${shape}, ${kind}`,
        points: sizes.flatMap((files) => {
          const line = at(shape, kind, files);
          const value = line && valueOf(line);
          return value === undefined ? [] : [[files, value] as const];
        }),
      })),
    });
  const plots = [{ name: 'growth-time', svg: chart('Time per file', 'µs', perFileUs) }];
  if (lines.some((line) => line.pssBytes !== undefined)) {
    const pss = chart('Memory of all processes', 'MB', (l) => l.pssBytes && l.pssBytes / 1e6);
    plots.push({ name: 'growth-memory', svg: pss });
  }
  return plots;
}

function perFileUs(line: Line): number {
  return (median(line.wallMs) * 1000) / line.files;
}
