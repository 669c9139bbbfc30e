import { writeFileSync } from 'node:fs';
import { type Bench, rest } from './bench.js';
import { seconds } from './cells.js';
import { changeTree } from './change.js';
import { FigureTable, QUESTIONS, type Question } from './figures.js';
import type { Command, Measured } from './measure.js';
import type { Subject } from './subjects/subject.js';

/** File to which a 3 is written to make Linux drop cached contents and metadata of files. */
const DROP_CACHES = '/proc/sys/vm/drop_caches';
const CHANGED_SHARE = 0.01;
/**
 * Maximum number of cores that other work may use before a note is printed. Only runs of at least OTHERS_WALL_LEAST_MS
 * are examined.
 */
const OTHERS_CORES_MAX = 0.15;
const OTHERS_WALL_LEAST_MS = 200;

/** A subject that failed. It is left out of the rest of the benchmark. */
export interface Failure {
  readonly subject: string;
  readonly question: Question | 'prepare';
  readonly message: string;
}

/** The results of all rounds. */
export interface Outcome {
  readonly table: FigureTable;
  readonly failures: readonly Failure[];
  readonly notes: readonly string[];
}

/** The parameters of the rounds. */
interface RoundsOptions {
  readonly bench: Bench;
  readonly subjects: readonly Subject[];
  /** The round in which memory is sampled, which takes time: one of its own, or each; undefined for none. */
  readonly sampled: 'own' | 'each' | undefined;
  /** The operations that are measured, in the order of QUESTIONS. */
  readonly questions?: readonly Question[];
  /** Changes the tree before `changed`; by default 1 % of its files. Returns the number of changed files. */
  readonly change?: (seed: number) => number;
}

interface Round {
  readonly label: string;
  readonly number: number;
  readonly sampleMemory: boolean;
}

/**
 * Runs all rounds. A round is the whole life of a store: first backup, unchanged, changed, restore. All subjects
 * perform one operation, one after the other, before the next operation. So other load affects all subjects alike.
 * Memory is sampled in a round of its own, because sampling takes time.
 */
export async function runRounds(options: RoundsOptions): Promise<Outcome> {
  return new Rounds(options).run();
}

class Rounds {
  readonly #options: RoundsOptions;
  readonly #table = new FigureTable();
  readonly #failures: Failure[] = [];
  readonly #notes = new Set<string>();
  #subjects: readonly Subject[];
  #changedAtMs = performance.now();

  constructor(options: RoundsOptions) {
    this.#options = options;
    this.#subjects = options.subjects;
  }

  async run(): Promise<Outcome> {
    const { bench, sampled } = this.#options;
    const { runs } = bench.options;
    for (let i = 0; i < runs; i++) {
      const sampleMemory = sampled === 'each';
      await this.#round({ label: bench.roundName(i), number: i, sampleMemory });
    }
    if (sampled === 'own') {
      await this.#round({ label: 'memory', number: runs, sampleMemory: true });
    }
    return { table: this.#table, failures: this.#failures, notes: [...this.#notes] };
  }

  async #round(round: Round): Promise<void> {
    const { bench, questions = QUESTIONS } = this.#options;
    const { workplace } = bench;
    const { change = (by) => changeTree(workplace.tree, { seed: by, share: CHANGED_SHARE }) } =
      this.#options;
    for (const subject of this.#subjects) workplace.freshPlace(subject.name);
    await this.#each('prepare', async (subject) => {
      await bench.runAll(subject.prepare());
      await subject.start?.();
    });
    for (const question of questions) {
      if (question === 'changed') {
        // Each round changes other files.
        const count = change(bench.options.seed + round.number);
        this.#changedAtMs = performance.now();
        bench.print(`${round.label}: ${count} files changed`);
      }
      await rest(this.#changedAtMs);
      await this.#each(question, (subject) => this.#ask(question, subject, round));
    }
    // A subject that has failed has a server too.
    for (const subject of this.#options.subjects) await subject.stop?.();
  }

  async #ask(question: Question, subject: Subject, round: Round): Promise<void> {
    const { bench } = this.#options;
    const { workplace, options, print } = bench;
    if (!workplace.inMemory) {
      // The previous subject's data is written back first, so that it does not slow this one.
      await bench.run({ argv: ['sync', '--file-system', workplace.root] });
    }
    if (options.disk) writeFileSync(DROP_CACHES, '3');
    const measured = await bench.run(commandFor(question, subject), round.sampleMemory);
    if (question === 'restore') {
      if (round.number === 0) await bench.verifyRestored(subject.restoredTree());
      workplace.emptyOut(subject.name);
    }
    const row = this.#table.row(question, subject.name);
    if (round.sampleMemory) row.pssBytes = Math.max(row.pssBytes ?? 0, measured.pssBytes ?? 0);
    if (!round.sampleMemory || this.#options.sampled === 'each') {
      row.wallMs.push(measured.wallMs);
      row.cpuMs.push(measured.cpuMs);
      row.readBytes.push(measured.readBytes);
      row.sentBytes.push(measured.sentBytes);
      if (question === 'first') row.storeBytes.push(subject.storeBytes());
    }
    this.#note(question, subject, round, measured);
    const cost = `${seconds(measured.wallMs)} s, CPU ${seconds(measured.cpuMs)} s`;
    print(`${round.label}: ${question} ${subject.name} ${cost}`);
  }

  #note(question: Question, subject: Subject, round: Round, measured: Measured): void {
    if (measured.leftBehind > 0) {
      this.#notes.add(
        `${subject.name}, ${question}: processes were alive when the command had ended; their CPU time is not counted`,
      );
    }
    // Sampling memory counts as other work, so it is not noted.
    if (
      !round.sampleMemory &&
      measured.wallMs > OTHERS_WALL_LEAST_MS &&
      measured.coresOfOthers > OTHERS_CORES_MAX
    ) {
      const cores = measured.coresOfOthers.toFixed(2);
      this.#notes.add(
        `${subject.name}, ${question}, ${round.label}: ${cores} cores were busy with something else`,
      );
    }
  }

  /**
   * Runs one operation for all subjects in turn. A subject that fails is reported, and left out of all later
   * operations.
   */
  async #each(
    question: Failure['question'],
    ask: (subject: Subject) => Promise<void>,
  ): Promise<void> {
    for (const subject of this.#subjects) {
      try {
        await ask(subject);
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        this.#failures.push({ subject: subject.name, question, message });
        this.#options.bench.print(`FAILED: ${question} ${subject.name}: ${message}`);
        this.#subjects = this.#subjects.filter((other) => other !== subject);
      }
    }
  }
}

function commandFor(question: Question, subject: Subject): Command {
  if (question === 'first') return subject.first();
  return question === 'restore' ? subject.restore() : subject.again();
}
