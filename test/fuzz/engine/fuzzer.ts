/** The search: inputs that reach new code or a new outcome are kept and mutated further, until one fails. */
import type { Coverage } from './coverage.js';
import type { Executor, Fault } from './executor.js';
import { inputName } from './input-name.js';
import { Mutator } from './mutator.js';
import { limitsOf, type Random, type Target } from './target.js';

/** Maximum number of inputs between two reads of the coverage; BATCH_MS bounds their time together. */
const MOST_IN_BATCH = 256;
const BATCH_MS = 20;
/** Number of newest kept inputs, among which RECENT_SHARE of all choices is made. */
const RECENT = 16;
const RECENT_SHARE = 0.4;
/** Limits of kept inputs and outcomes, so that a run of days stays in memory. */
const MOST_KEPT = 20_000;
const MOST_WORDS = 5000;
/** Share of mutated inputs that get valid checksums, if the target can repair them. */
const REPAIRED_SHARE = 0.8;

export interface Failure {
  readonly input: Buffer;
  readonly fault: Fault;
}

export class Fuzzer {
  readonly kept: Buffer[] = [];
  /** Names of the kept inputs: one that is made twice is kept once. */
  private readonly names = new Set<string>();
  private readonly words = new Set<string>();
  private readonly target: Target;
  private readonly executor: Executor;
  private readonly coverage: Coverage;
  private readonly random: Random;
  private readonly mutator: Mutator;
  private readonly onKept: (input: Buffer) => void;
  private batchSize = 1;

  constructor(
    target: Target,
    executor: Executor,
    coverage: Coverage,
    random: Random,
    onKept: (input: Buffer) => void,
  ) {
    this.target = target;
    this.executor = executor;
    this.coverage = coverage;
    this.random = random;
    this.onKept = onKept;
    const { maxBytes } = limitsOf(target);
    this.mutator = new Mutator(random, target.tokens ?? [], maxBytes, () => this.choose());
  }

  get reachedChars(): number {
    return this.coverage.reachedChars;
  }

  /** Runs the given inputs. Keeps all of them, or those that reach anything new. Returns the first failure. */
  async begin(inputs: readonly Buffer[], mustKeep: boolean): Promise<Failure | undefined> {
    const { maxBytes } = limitsOf(this.target);
    this.coverage.add(this.coverage.take());
    for (const whole of inputs) {
      const failure = await this.alone(whole.subarray(0, maxBytes), false, mustKeep);
      if (failure !== undefined) return failure;
    }
    if (this.kept.length === 0) this.kept.push(Buffer.alloc(0));
    return undefined;
  }

  /** Tries a batch of mutated inputs. */
  async step(): Promise<Failure | undefined> {
    const batch: Buffer[] = [];
    const newWords: Buffer[] = [];
    const endMs = performance.now() + BATCH_MS;
    while (batch.length < this.batchSize && performance.now() < endMs) {
      const input = this.nextInput();
      batch.push(input);
      const outcome = await this.executor.run(input);
      if ('fault' in outcome) return { input, fault: outcome.fault };
      if (this.isNewWord(outcome.word)) newWords.push(input);
    }
    const scripts = this.coverage.take();
    if (!this.coverage.isNew(scripts)) {
      for (const input of newWords) this.keep(input, true);
      this.batchSize = Math.min(MOST_IN_BATCH, 2 * this.batchSize);
      return undefined;
    }
    return this.findOut(batch, newWords, scripts);
  }

  /** Finds the inputs of a batch that reached new code: each runs once more, alone. */
  private async findOut(
    batch: readonly Buffer[],
    newWords: readonly Buffer[],
    scripts: ReturnType<Coverage['take']>,
  ): Promise<Failure | undefined> {
    for (const input of batch) {
      const failure = await this.alone(input, true, newWords.includes(input));
      if (failure !== undefined) return failure;
    }
    // Code that runs only once, such as the loading of a module, must not count as new each time.
    this.coverage.add(scripts);
    this.batchSize = Math.max(1, this.batchSize >> 2);
    return undefined;
  }

  private async alone(
    input: Buffer,
    isFound: boolean,
    mustKeep = false,
  ): Promise<Failure | undefined> {
    const outcome = await this.executor.run(input);
    if ('fault' in outcome) return { input, fault: outcome.fault };
    const isNew = this.coverage.add(this.coverage.take());
    if (this.isNewWord(outcome.word) || isNew || mustKeep) this.keep(input, isFound);
    return undefined;
  }

  private isNewWord(word: string): boolean {
    if (this.words.has(word) || this.words.size >= MOST_WORDS) return false;
    this.words.add(word);
    return true;
  }

  private keep(input: Buffer, isFound: boolean): void {
    const name = inputName(input);
    if (this.names.has(name) || this.kept.length >= MOST_KEPT) return;
    this.names.add(name);
    // Inputs are views of larger buffers; a copy takes only the bytes it needs.
    const copy = Buffer.from(input);
    this.kept.push(copy);
    if (isFound) this.onKept(copy);
  }

  private choose(): Buffer {
    const { length } = this.kept;
    const among = this.random.next() < RECENT_SHARE ? Math.min(length, RECENT) : length;
    return this.kept[length - 1 - Math.floor(this.random.next() * among)]!;
  }

  private nextInput(): Buffer {
    const changed = this.mutator.mutate(this.choose());
    if (this.target.repair === undefined || this.random.next() >= REPAIRED_SHARE) return changed;
    return this.target.repair(changed, this.random).subarray(0, limitsOf(this.target).maxBytes);
  }
}
