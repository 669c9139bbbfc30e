/** Messages between a fuzzing process and the process that watches it. */
import type { Fault } from './executor.js';

export interface ChildSpec {
  /** Path of the compiled target. */
  readonly module: string;
  readonly seed: number;
  readonly seconds: number;
  /** Path of the file that contains the input at work. */
  readonly current: string;
  /** Inputs that failed once, as base64. */
  readonly regressions: readonly string[];
  /** Folder in which inputs that reach anything new are kept from run to run. */
  readonly corpus?: string;
  /** Path of a file with the only input to run. */
  readonly input?: string;
}

export interface Progress {
  readonly executions: number;
  /** Number of inputs at the beginning; `kept` is the number now. */
  readonly seeds: number;
  readonly kept: number;
  /** Number of characters of code that were reached. */
  readonly reached: number;
}

export type FromChild =
  | ({ readonly type: 'progress' } & Progress)
  | { readonly type: 'word'; readonly word: string }
  | { readonly type: 'failure'; readonly fault: Fault; readonly input: string };
