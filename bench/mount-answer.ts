/** The table and the targets of mounts. */
import type { Answer } from './answer.js';
import { median, ratioOf } from './figures.js';
import { HEADINGS, type Reading, READINGS } from './mount-readings.js';
import { barChart } from './plot.js';
import { type Verdict, verdictOf } from './targets.js';

/** The figures of a subject, in the units of the headings; index i of the lists is round i. */
export type MountLine = Readonly<Record<Reading, number[]>> & {
  readonly subject: string;
  /** Times in seconds without a mount: of an archive of the small files, and of a restore of the large one. */
  readonly archive: number[];
  readonly restore: number[];
  /**
   * Times in seconds of a mount of a catalog with very many entries, and of `ls` of a directory with many names in it.
   */
  readonly filledMount: number[];
  readonly filledNames: number[];
};

const OURS = 'tardis';
/** Number of bytes that `tar` must read in a second. */
const TAR_BYTES = 150e6;
const BUSY_SHARE = 0.9;

export function mountAnswer(
  lines: readonly MountLine[],
  { about, notes, smallBytes }: { about: string; notes: readonly string[]; smallBytes: number },
): Answer {
  const [source, ...others] = lines;
  const ours = others.filter(({ subject }) => subject.startsWith(OURS));
  return {
    question: 'mount',
    about,
    headings: ['subject', '', ...READINGS.map((reading) => HEADINGS[reading])],
    rows: lines.map((line) => [
      line.subject,
      '',
      ...READINGS.map((reading) => shown(median(line[reading]))),
    ]),
    verdicts: ours.flatMap((line) => verdictsOf(line, source!, smallBytes)),
    notes: [
      ...notes,
      ...ours.map(
        ({ subject, archive, restore }) =>
          `${subject}: regenerate --tar ${shown(median(archive))} s, restore ${shown(median(restore))} s`,
      ),
      ...ours
        .filter(({ filledNames }) => filledNames.length > 0)
        .map(
          ({ subject, filledMount, filledNames }) =>
            `${subject}: in the filled catalog mount ${shown(median(filledMount))} s, ls ${shown(median(filledNames))} s`,
        ),
      'ls -lR, tar and the other first readings are cold: each in a mount of its own',
    ],
    figures: lines,
    plots: [
      {
        name: 'mount',
        svg: barChart({
          title: 'Reading in a mount',
          unit: 's',
          groups: (['list', 'again', 'names', 'tar', 'grep', 'sequential'] as const).map(
            (reading) => ({
              label: HEADINGS[reading],
              bars: lines.map((line) => ({ label: line.subject, value: median(line[reading]) })),
            }),
          ),
        }),
      },
    ],
  };
}

function shown(value: number): string {
  if (Number.isNaN(value)) return '-';
  return value.toFixed(value < 100 ? 2 : 0);
}

function verdictsOf(line: MountLine, source: MountLine, smallBytes: number): Verdict[] {
  const { subject } = line;
  const times = (reading: Reading) => ratioOf(line[reading], source[reading])?.pairwise;
  const verdict = (what: string, limit: number, reached: number | undefined): Verdict =>
    verdictOf(`${subject}: ${what}`, limit, reached);
  const most = Math.max(...source.busy.map(Math.ceil));
  return [
    verdict('ls -lR, times the source', 2, times('list')),
    verdict('ls -lR again, times the source', 1.1, times('again')),
    verdict('ls of many names: s', 0.5, median(line.names)),
    verdict('tar: s for 150 MB', 1, (median(line.tar) * TAR_BYTES) / smallBytes),
    verdict('tar, times regenerate --tar', 2, ratioOf(line.tar, line.archive)?.pairwise),
    verdict(
      'whole file, times its restore',
      1 / 0.6,
      ratioOf(line.sequential, line.restore)?.pairwise,
    ),
    verdict('s of 2,000 random reads', 1, 2000 / median(line.random)),
    verdict('s of 500 random reads in deltas', 1, 500 / median(line.deltas)),
    verdict(
      'processors that grep needs, in those it keeps busy',
      1 / BUSY_SHARE,
      most / median(line.busy),
    ),
    verdict('MB of memory', 150, Math.max(...line.memory)),
    verdict('s to mount', 0.4, median(line.mount)),
    ...(line.filledNames.length === 0
      ? []
      : [
          verdict('ls of many names in a filled catalog: s', 0.5, median(line.filledNames)),
          verdict('s to mount a filled catalog', 0.4, median(line.filledMount)),
        ]),
  ];
}
