/** The measured operations, in the order of a store's life. */
export const QUESTIONS = ['first', 'unchanged', 'changed', 'restore'] as const;
export type Question = (typeof QUESTIONS)[number];

/** All measurements of one operation and one subject; index i of the lists is round i. */
export interface Figures {
  readonly question: Question;
  readonly subject: string;
  readonly wallMs: number[];
  readonly cpuMs: number[];
  /** Size of the store after the first backup; only measured there. */
  readonly storeBytes: number[];
  /** Bytes that the machine read from its disks, and that passed its loopback interface. */
  readonly readBytes: number[];
  readonly sentBytes: number[];
  /** Peak memory in the runs in which memory was sampled. */
  pssBytes: number | undefined;
}

/**
 * The figures of a subject divided by those of another. A ratio below 1 means that the subject is faster or smaller.
 */
export interface Ratio {
  /** Ratio of the medians. */
  readonly ofMedians: number;
  /** Median of the ratios in each round. Other load on the machine affects both subjects of a round. */
  readonly pairwise: number;
}

/** Returns the median; for an even number of values the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[sorted.length >> 1] ?? NaN;
  const lower = sorted[(sorted.length - 1) >> 1] ?? NaN;
  return (lower + upper) / 2;
}

/** Compares two lists in which index i is round i; undefined if a list is empty. */
export function ratioOf(ours: readonly number[], theirs: readonly number[]): Ratio | undefined {
  const rounds = Math.min(ours.length, theirs.length);
  if (rounds === 0) {
    return undefined;
  }
  const pairs = Array.from({ length: rounds }, (_, i) => (ours[i] ?? NaN) / (theirs[i] ?? NaN));
  return { ofMedians: median(ours) / median(theirs), pairwise: median(pairs) };
}

/** A table of the figures by operation and subject. */
export class FigureTable {
  readonly #rows: Figures[] = [];

  /** Returns a row, and creates it if it does not exist. */
  row(question: Question, subject: string): Figures {
    let row = this.find(question, subject);
    if (row === undefined) {
      const lists = { wallMs: [], cpuMs: [], storeBytes: [], readBytes: [], sentBytes: [] };
      row = { question, subject, ...lists, pssBytes: undefined };
      this.#rows.push(row);
    }
    return row;
  }

  find(question: Question, subject: string): Figures | undefined {
    return this.#rows.find((row) => row.question === question && row.subject === subject);
  }

  /** Returns all rows, ordered by operation. */
  rows(): Figures[] {
    return QUESTIONS.flatMap((question) => this.#rows.filter((row) => row.question === question));
  }
}
