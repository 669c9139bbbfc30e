/** What is asked of every subject, in the order of a store's life. */
export const QUESTIONS = ['first', 'unchanged', 'changed', 'restore'] as const;
export type Question = (typeof QUESTIONS)[number];

/** Everything measured for one question and one subject; index i of the lists is round i. */
export interface Figures {
  readonly question: Question;
  readonly subject: string;
  readonly wallMs: number[];
  readonly cpuMs: number[];
  /** After the first backup only. */
  readonly storeBytes: number[];
  /** Of the one run in which memory was sampled. */
  pssBytes: number | undefined;
}

/** How a subject did compared with another; below 1 is faster. */
export interface Ratio {
  /** Of the medians. */
  readonly ofMedians: number;
  /** The median of the ratios of each round: what the machine did meanwhile hits both. */
  readonly pairwise: number;
}

/** The median; of an even number of values the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[sorted.length >> 1] ?? NaN;
  const lower = sorted[(sorted.length - 1) >> 1] ?? NaN;
  return (lower + upper) / 2;
}

/** Compares two lists of which index i belongs to round i; undefined when there is nothing to compare. */
export function ratioOf(ours: readonly number[], theirs: readonly number[]): Ratio | undefined {
  const rounds = Math.min(ours.length, theirs.length);
  if (rounds === 0) {
    return undefined;
  }
  const pairs = Array.from({ length: rounds }, (_, i) => (ours[i] ?? NaN) / (theirs[i] ?? NaN));
  return { ofMedians: median(ours) / median(theirs), pairwise: median(pairs) };
}

/** The figures of every question and subject, found by their names. */
export class FigureTable {
  readonly #rows: Figures[] = [];

  /** The row, made when it is not there. */
  row(question: Question, subject: string): Figures {
    let row = this.find(question, subject);
    if (row === undefined) {
      row = { question, subject, wallMs: [], cpuMs: [], storeBytes: [], pssBytes: undefined };
      this.#rows.push(row);
    }
    return row;
  }

  find(question: Question, subject: string): Figures | undefined {
    return this.#rows.find((row) => row.question === question && row.subject === subject);
  }

  /** All rows, question by question. */
  rows(): Figures[] {
    return QUESTIONS.flatMap((question) => this.#rows.filter((row) => row.question === question));
  }
}
