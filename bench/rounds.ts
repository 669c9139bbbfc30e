import { rmSync, mkdirSync, writeFileSync } from 'node:fs';
import { seconds } from './cells.js';
import { changeTree } from './change.js';
import { FigureTable, QUESTIONS, type Question } from './figures.js';
import { measure, type Command, type Measured } from './measure.js';
import { rest } from './rest.js';
import type { Subject } from './subjects/subject.js';
import { verifyRestored } from './verify.js';
import type { Workplace } from './workplace.js';

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
export interface RoundsOptions {
  readonly workplace: Workplace;
  readonly subjects: readonly Subject[];
  readonly seed: number;
  readonly runs: number;
  /** The round in which memory is sampled, which takes time: one of its own, or each; undefined for none. */
  readonly sampled: 'own' | 'each' | undefined;
  /** The operations that are measured, in the order of QUESTIONS. */
  readonly questions?: readonly Question[];
  /** Changes the tree before `changed`; by default 1 % of its files. Returns the number of changed files. */
  readonly change?: (seed: number) => number;
  /** True to drop all cached files from memory before each command. */
  readonly isCold: boolean;
  readonly print: (line: string) => void;
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
    const { runs, sampled } = this.#options;
    for (let i = 0; i < runs; i++) {
      const sampleMemory = sampled === 'each';
      await this.#round({ label: `round ${i + 1}/${runs}`, number: i, sampleMemory });
    }
    if (sampled === 'own') {
      await this.#round({ label: 'memory', number: runs, sampleMemory: true });
    }
    return { table: this.#table, failures: this.#failures, notes: [...this.#notes] };
  }

  async #round(round: Round): Promise<void> {
    const { workplace, seed, print, questions = QUESTIONS } = this.#options;
    const { change = (by) => changeTree(workplace.tree, { seed: by, share: CHANGED_SHARE }) } =
      this.#options;
    for (const subject of this.#subjects) {
      workplace.freshPlace(subject.name);
    }
    await this.#each('prepare', async (subject) => {
      for (const command of subject.prepare()) {
        await measure(command, { logFile: workplace.log });
      }
      await subject.start?.();
    });
    for (const question of questions) {
      if (question === 'changed') {
        // Each round changes other files.
        const count = change(seed + round.number);
        this.#changedAtMs = performance.now();
        print(`${round.label}: ${count} files changed`);
      }
      await rest(this.#changedAtMs);
      await this.#each(question, (subject) => this.#ask(question, subject, round));
    }
    // A subject that has failed has a server too.
    for (const subject of this.#options.subjects) await subject.stop?.();
  }

  async #ask(question: Question, subject: Subject, round: Round): Promise<void> {
    const { workplace, isCold, print } = this.#options;
    const logFile = workplace.log;
    if (!workplace.inMemory) {
      // The previous subject's data is written back first, so that it does not slow this one.
      await measure({ argv: ['sync', '--file-system', workplace.root] }, { logFile });
    }
    if (isCold) writeFileSync(DROP_CACHES, '3');
    const command = commandFor(question, subject);
    const measured = await measure(command, { logFile, sampleMemory: round.sampleMemory });
    if (question === 'restore') {
      if (round.number === 0) {
        await verifyRestored(workplace.tree, subject.restoredTree(), logFile);
      }
      const { out } = workplace.place(subject.name);
      rmSync(out, { recursive: true, force: true });
      mkdirSync(out);
    }
    const row = this.#table.row(question, subject.name);
    if (round.sampleMemory) row.pssBytes = Math.max(row.pssBytes ?? 0, measured.pssBytes ?? 0);
    if (!round.sampleMemory || this.#options.sampled === 'each') {
      row.wallMs.push(measured.wallMs);
      row.cpuMs.push(measured.cpuMs);
      row.readBytes.push(measured.readBytes);
      row.sentBytes.push(measured.sentBytes);
      if (question === 'first') {
        row.storeBytes.push(subject.storeBytes());
      }
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
        this.#options.print(`FAILED: ${question} ${subject.name}: ${message}`);
        this.#subjects = this.#subjects.filter((other) => other !== subject);
      }
    }
  }
}

function commandFor(question: Question, subject: Subject): Command {
  if (question === 'first') {
    return subject.first();
  }
  return question === 'restore' ? subject.restore() : subject.again();
}
