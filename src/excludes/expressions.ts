/**
 * Regular expressions over bytes as latin1, as RE2 has them: time is linear in the length of the text,
 * whatever the expression. Several are looked for in one pass.
 */
import { createRequire } from 'node:module';

type Engine = typeof import('re2js');

const require = createRequire(import.meta.url);
let engine: Engine | undefined;

/** Loaded by the threads that have a filter. */
function loadEngine(): Engine {
  engine ??= require('re2js') as Engine;
  return engine;
}

export const MAX_EXPRESSION_BYTES = 1000;
/** Steps of all expressions of a file together: each byte of a name costs so many at worst. */
export const MAX_EXPRESSION_STEPS = 10_000;
/** What the engine may keep of what it has found out, for one set of expressions in one thread. */
const MAX_MEMORY_BYTES = 2 << 20;

/** How many steps an expression has. Throws an Error whose message says what is wrong with it. */
export function expressionSteps(expression: string): number {
  if (expression.length > MAX_EXPRESSION_BYTES) {
    throw new Error(`an expression has at most ${MAX_EXPRESSION_BYTES} bytes`);
  }
  if (IGNORES_CASE.test(expression) && BEYOND_ASCII.test(expression)) {
    throw new Error('case can be ignored only where all letters are ASCII: (?i)');
  }
  const { RE2JS } = loadEngine();
  try {
    return RE2JS.compile(expression, RE2JS.DISABLE_UNICODE_GROUPS).programSize();
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    throw new Error(said.replace(/^error parsing regexp: /, ''), { cause: error });
  }
}

/** The engine would take bytes above 127 for letters of Latin-1. */
const IGNORES_CASE = /\(\?[A-Za-z]*i/;
const BEYOND_ASCII = /[\x80-\xff]|\\x(?:\{|[89A-Fa-f])|\\[23][0-7]{2}/;

/** Expressions in their order, held against the beginnings of texts. */
export class Expressions {
  private readonly set: InstanceType<Engine['RE2Set']> | undefined;
  private readonly numbers: readonly number[];

  /** `numbers` rise; each stands for the expression at its place. */
  constructor(expressions: readonly string[], numbers: readonly number[]) {
    this.numbers = numbers;
    if (expressions.length === 0) return;
    const { RE2JS, RE2Set } = loadEngine();
    const flags = RE2JS.DISABLE_UNICODE_GROUPS;
    this.set = new RE2Set(RE2Set.ANCHOR_START, flags, MAX_MEMORY_BYTES);
    for (const expression of expressions) this.set.add(expression);
    this.set.compile();
  }

  /** The numbers of all that match, in rising order. */
  matching(text: string): number[] {
    if (this.set === undefined) return [];
    const places = this.set.match(text);
    return places.sort((a, b) => a - b).map((place) => this.numbers[place]!);
  }
}
