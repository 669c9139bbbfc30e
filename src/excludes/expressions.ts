/**
 * Regular expressions over bytes as latin1, with the syntax of RE2. The time of a match is linear in the
 * length of the text, for any expression. Several expressions are matched in one pass.
 */
import { createRequire } from 'node:module';

type Engine = typeof import('re2js');

const require = createRequire(import.meta.url);
let engine: Engine | undefined;

/** Loads the engine; only threads that have a filter need it. */
function loadEngine(): Engine {
  engine ??= require('re2js') as Engine;
  return engine;
}

export const MAX_EXPRESSION_BYTES = 1000;
/**
 * Maximum number of steps of all expressions in a file together. In the worst case each byte of a name takes as many
 * steps.
 */
export const MAX_EXPRESSION_STEPS = 10_000;
/** Maximum size of the engine's cache, for one set of expressions in one thread. */
const MAX_MEMORY_BYTES = 2 << 20;

/** Returns the number of steps of an expression. Throws an Error with the reason if it is invalid. */
export function expressionSteps(expression: string): number {
  if (expression.length > MAX_EXPRESSION_BYTES) {
    throw new Error(`an expression has at most ${MAX_EXPRESSION_BYTES} bytes`);
  }
  if (IGNORES_CASE.test(expression) && BEYOND_ASCII.test(expression)) {
    throw new Error('case can be ignored only if all letters are ASCII: (?i)');
  }
  const { RE2JS } = loadEngine();
  try {
    return RE2JS.compile(expression, RE2JS.DISABLE_UNICODE_GROUPS).programSize();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new Error(message.replace(/^error parsing regexp: /, ''), { cause: error });
  }
}

/**
 * Matches a flag that ignores case. It is refused with bytes above 127, which the engine would treat as Latin-1
 * letters.
 */
const IGNORES_CASE = /\(\?[A-Za-z]*i/;
const BEYOND_ASCII = /[\x80-\xff]|\\x(?:\{|[89A-Fa-f])|\\[23][0-7]{2}/;

/** Expressions in their order, matched against the beginning of a text. */
export class Expressions {
  private readonly set: InstanceType<Engine['RE2Set']> | undefined;

  /** Compiles expressions. `numbers` are in rising order; each identifies the expression at the same index. */
  constructor(
    expressions: readonly string[],
    private readonly numbers: readonly number[],
  ) {
    if (expressions.length === 0) return;
    const { RE2JS, RE2Set } = loadEngine();
    const flags = RE2JS.DISABLE_UNICODE_GROUPS;
    this.set = new RE2Set(RE2Set.ANCHOR_START, flags, MAX_MEMORY_BYTES);
    for (const expression of expressions) this.set.add(expression);
    this.set.compile();
  }

  /** Returns the numbers of all expressions that match, in rising order. */
  matching(text: string): number[] {
    if (this.set === undefined) return [];
    const places = this.set.match(text);
    return places.sort((a, b) => a - b).map((place) => this.numbers[place]!);
  }
}
