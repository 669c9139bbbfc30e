import { align, megabytes, seconds, shownRatio } from './cells.js';
import { median, ratioOf, type Figures, type FigureTable, type Ratio } from './figures.js';
import { judge, type Verdict } from './targets.js';

/** The subject with which the others are compared. */
export const YARDSTICK = 'restic';

const HEADINGS = [
  'question',
  'subject',
  'median s',
  'min–max s',
  'CPU s',
  'PSS MB',
  'store MB',
  `x ${YARDSTICK}`,
  'pairwise',
  'store x',
];

/** One row of the table with the figures that are computed from it. */
export interface Line extends Figures {
  readonly medianMs: number;
  readonly minMs: number;
  readonly maxMs: number;
  readonly medianCpuMs: number;
  readonly medianStoreBytes: number | undefined;
  /** Time divided by the yardstick's. */
  readonly timeRatio: Ratio | undefined;
  readonly storeRatio: Ratio | undefined;
}

/** Returns a line for each row that was measured at least once. */
export function linesOf(table: FigureTable): Line[] {
  return table
    .rows()
    .filter((row) => row.wallMs.length > 0)
    .map((row) => {
      const other = table.find(row.question, YARDSTICK);
      return {
        ...row,
        medianMs: median(row.wallMs),
        minMs: Math.min(...row.wallMs),
        maxMs: Math.max(...row.wallMs),
        medianCpuMs: median(row.cpuMs),
        medianStoreBytes: row.storeBytes.length === 0 ? undefined : median(row.storeBytes),
        timeRatio: ratioOf(row.wallMs, other?.wallMs ?? []),
        storeRatio: ratioOf(row.storeBytes, other?.storeBytes ?? []),
      };
    });
}

/** Returns the table as text. */
export function formatTable(table: FigureTable): string {
  const rows = linesOf(table).map((line) => [
    line.question,
    line.subject,
    seconds(line.medianMs),
    `${seconds(line.minMs)}–${seconds(line.maxMs)}`,
    seconds(line.medianCpuMs),
    megabytes(line.pssBytes),
    megabytes(line.medianStoreBytes),
    shownRatio(line.timeRatio?.ofMedians),
    shownRatio(line.timeRatio?.pairwise),
    shownRatio(line.storeRatio?.ofMedians),
  ]);
  return align([HEADINGS, ...rows]);
}

/** Returns the targets as text, one on each line. */
export function formatVerdicts(verdicts: readonly Verdict[]): string {
  return align(
    verdicts.map(({ target, limit, reached, met }) => [
      met ? 'met' : reached === undefined ? 'not measured' : 'MISSED',
      target,
      reached === undefined ? '-' : distinct(reached, limit),
      `<= ${limit}`,
    ]),
  );
}

/** Returns a value with as many decimals, from 2 on, as show that it differs from its limit. */
function distinct(reached: number, limit: number): string {
  const text = reached.toFixed(2);
  return Number(text) === limit && reached > limit ? reached.toFixed(4) : text;
}

/** Returns all figures as JSON. */
export function toJson(table: FigureTable, more: Readonly<Record<string, unknown>>): string {
  return `${JSON.stringify({ version: 1, ...more, lines: linesOf(table), targets: judge(table) }, undefined, 2)}\n`;
}
