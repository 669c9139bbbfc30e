import { ratioOf, type FigureTable, type Question } from './figures.js';

const OURS = 'tardis';
const PEER = 'restic';
const TIME_LIMITS: readonly { question: Question; ratio: number }[] = [
  { question: 'first', ratio: 0.38 },
  { question: 'unchanged', ratio: 0.15 },
  { question: 'restore', ratio: 0.35 },
];
const STORE_RATIO_LIMIT = 0.9;
const PSS_LIMIT_BYTES = 160e6;
const OURS_ON_PI = 'tardis-pi';
const PI_PSS_LIMIT_BYTES = 100e6;

/** A target and the measured value. */
export interface Verdict {
  readonly target: string;
  readonly limit: number;
  /** The measured value; undefined if it was not measured, which does not meet the target. */
  readonly reached: number | undefined;
  readonly met: boolean;
}

/** Returns a verdict; a value that was not measured does not meet its target. */
export function verdictOf(target: string, limit: number, reached: number | undefined): Verdict {
  return { target, limit, reached, met: reached !== undefined && reached <= limit };
}

/** Judges tardis's figures. Times are compared by the ratio of the medians; memory is the largest of all operations. */
export function judge(table: FigureTable): Verdict[] {
  const times = TIME_LIMITS.map(({ question, ratio }) => {
    const ours = table.find(question, OURS)?.wallMs ?? [];
    const theirs = table.find(question, PEER)?.wallMs ?? [];
    return verdictOf(`${question}, times ${PEER}`, ratio, ratioOf(ours, theirs)?.ofMedians);
  });
  const storeRatio = ratioOf(
    table.find('first', OURS)?.storeBytes ?? [],
    table.find('first', PEER)?.storeBytes ?? [],
  )?.ofMedians;
  const pssOf = (subject: string): number | undefined => {
    const all = table
      .rows()
      .filter((row) => row.subject === subject)
      .flatMap((row) => row.pssBytes ?? []);
    return all.length === 0 ? undefined : Math.max(...all) / 1e6;
  };
  const hasPi = table.rows().some((row) => row.subject === OURS_ON_PI);
  return [
    ...times,
    verdictOf(`store, times ${PEER}`, STORE_RATIO_LIMIT, storeRatio),
    verdictOf('peak PSS in MB', PSS_LIMIT_BYTES / 1e6, pssOf(OURS)),
    ...(hasPi
      ? [verdictOf('peak PSS in MB, profile pi', PI_PSS_LIMIT_BYTES / 1e6, pssOf(OURS_ON_PI))]
      : []),
  ];
}
