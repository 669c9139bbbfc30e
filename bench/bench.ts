/** The place, the options and the commands of a question of the benchmark. */
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { sizeOfTree, type TreeSize } from './change.js';
import { type Command, type Measured, measure } from './measure.js';
import type { Options } from './options.js';
import { planTree, writeTree } from './tree.js';
import type { Workplace } from './workplace.js';

/** Bytes of overhead for each file: half a page, and about 1 KiB for each entry itself. */
const FILE_OVERHEAD_BYTES = 3072;
/**
 * Milliseconds that a tree rests between a change and a backup. Backup programs do not trust an entry that was changed
 * within the last second or two. They would read it again, which takes time.
 */
const REST_MS = 3500;

export class Bench {
  constructor(
    readonly workplace: Workplace,
    readonly checkout: string,
    readonly options: Options,
    readonly print: (line: string) => void,
  ) {}

  /** Returns the path of a program of the checkout. */
  program(name: string): string {
    return join(this.checkout, 'bin', name);
  }

  /** Runs a command to its end, and returns its cost. */
  run(command: Command, sampleMemory = false): Promise<Measured> {
    return measure(command, { logFile: this.workplace.log, sampleMemory });
  }

  /** Runs commands whose cost does not matter, one after the other. */
  async runAll(commands: readonly Command[]): Promise<void> {
    for (const command of commands) await this.run(command);
  }

  /** Calls `work` for each way in each round. The order changes from round to round, so that no way is always the first. */
  async inPairs<W extends string>(
    ways: readonly W[],
    work: (way: W, round: number) => Promise<void>,
  ): Promise<void> {
    for (let round = 0; round < this.options.runs; round++) {
      for (const way of round % 2 === 0 ? ways : ways.toReversed()) await work(way, round);
    }
  }

  /** Returns the name of a round for the printed progress. */
  roundName(round: number): string {
    return `round ${round + 1}/${this.options.runs}`;
  }

  /** Creates the tree of the work place: a copy of the tree of `--tree`, or a generated one. */
  async makeTree(): Promise<TreeSize> {
    const { workplace, options, print } = this;
    if (options.tree !== undefined) {
      const original = resolve(options.tree);
      workplace.requireRoomFor(sizeOfTree(original).footprintBytes);
      print(`copying ${original}`);
      await this.run({ argv: ['cp', '-a', `${original}/.`, workplace.tree] });
    } else {
      const plan = planTree({ seed: options.seed, files: options.files });
      workplace.requireRoomFor(plan.bytes + plan.files.length * FILE_OVERHEAD_BYTES);
      print(`making ${plan.files.length} files`);
      writeTree(plan, workplace.tree);
    }
    return sizeOfTree(workplace.tree);
  }

  /**
   * Throws unless a restored tree equals the tree of the work place, by the judgement of an independent program. rsync
   * compares contents, kinds, modes, owners, times and links, and must find nothing to do. Without rsync, diff compares
   * only names, contents and links.
   */
  async verifyRestored(restored: string): Promise<void> {
    const { tree } = this.workplace;
    const command: Command =
      spawnSync('rsync', ['--version']).status === 0
        ? { argv: ['rsync', '-anHci', '--delete', `${tree}/`, `${restored}/`] }
        : { argv: ['diff', '-r', '--no-dereference', tree, restored] };
    const { output } = await this.run(command);
    if (output === '') return;
    throw new Error(`the restored tree is not the original:\n${command.argv.join(' ')}\n${output}`);
  }
}

/**
 * Waits until a changed tree has rested. `changedAtMs` is the time of the change by `performance.now()`; the default is
 * now.
 */
export async function rest(changedAtMs = performance.now()): Promise<void> {
  await sleep(Math.max(0, changedAtMs + REST_MS - performance.now()));
}
