import { ratioOf, type FigureTable, type Question } from './figures.js';

const PEER = 'restic';
const CLEAR = 'tardis';
const ENCRYPTED = 'tardis-encrypted';
type Quantity = 'wallMs' | 'cpuMs' | 'storeBytes';
const WORDS: Readonly<Record<Quantity, string>> = {
  wallMs: 'time',
  cpuMs: 'processor time',
  storeBytes: 'store',
};

/** Limits of a quantity, as multiples of another subject's. */
const LIMITS: readonly {
  readonly of: string;
  readonly by: string;
  readonly quantity: Quantity;
  readonly ratios: readonly (readonly [Question, number])[];
}[] = [
  {
    of: CLEAR,
    by: PEER,
    quantity: 'wallMs',
    ratios: [
      ['first', 0.38],
      ['unchanged', 0.15],
      ['restore', 0.35],
    ],
  },
  { of: CLEAR, by: PEER, quantity: 'storeBytes', ratios: [['first', 0.9]] },
  {
    of: ENCRYPTED,
    by: PEER,
    quantity: 'wallMs',
    ratios: [
      ['first', 0.36],
      ['unchanged', 0.15],
      ['changed', 0.25],
      ['restore', 0.33],
    ],
  },
  { of: ENCRYPTED, by: PEER, quantity: 'cpuMs', ratios: [['first', 0.42]] },
  { of: ENCRYPTED, by: PEER, quantity: 'storeBytes', ratios: [['first', 0.92]] },
  {
    of: ENCRYPTED,
    by: CLEAR,
    quantity: 'wallMs',
    ratios: [
      ['first', 1.05],
      ['unchanged', 1.1],
      ['restore', 1.08],
    ],
  },
];
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
  const ratios = LIMITS.flatMap(({ of, by, quantity, ratios: limits }) =>
    limits.map(([question, limit]) => {
      const ours = table.find(question, of)?.[quantity] ?? [];
      const theirs = table.find(question, by)?.[quantity] ?? [];
      const target = `${question}, ${of}: ${WORDS[quantity]}, times ${by}`;
      return verdictOf(target, limit, ratioOf(ours, theirs)?.ofMedians);
    }),
  );
  const pssOf = (subject: string): number | undefined => {
    const all = table
      .rows()
      .filter((row) => row.subject === subject)
      .flatMap((row) => row.pssBytes ?? []);
    return all.length === 0 ? undefined : Math.max(...all) / 1e6;
  };
  const most = (subject: string, limitBytes: number): Verdict =>
    verdictOf(`peak PSS in MB, ${subject}`, limitBytes / 1e6, pssOf(subject));
  const hasPi = table.rows().some((row) => row.subject === OURS_ON_PI);
  return [
    ...ratios,
    most(CLEAR, PSS_LIMIT_BYTES),
    most(ENCRYPTED, PSS_LIMIT_BYTES),
    ...(hasPi ? [most(OURS_ON_PI, PI_PSS_LIMIT_BYTES)] : []),
  ];
}
