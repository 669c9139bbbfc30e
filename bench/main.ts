import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Answer, give } from './answer.js';
import { bucket } from './bucket.js';
import { compareIn } from './compare.js';
import { far } from './far.js';
import { growth } from './growth.js';
import { imports } from './imports.js';
import { large } from './large.js';
import { describeMachine } from './machine.js';
import { killRunning, measure } from './measure.js';
import { mount } from './mount.js';
import { type Options, parseOptions, UsageError } from './options.js';
import { parity } from './parity.js';
import { releases } from './releases.js';
import { sets } from './sets.js';
import { shapes } from './shapes.js';
import { sync } from './sync.js';
import { takeover } from './takeover.js';
import { tune } from './tune.js';
import { USAGE } from './usage.js';
import { web } from './web.js';
import { Workplace } from './workplace.js';

const print = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

/** Answers the question that the options select, in a work place that is removed afterwards. */
async function ask(options: Options): Promise<boolean> {
  const workplace = new Workplace(options.work);
  const leave = (): void => {
    killRunning();
    if (options.keep) {
      print(`kept: ${workplace.root}`);
    } else {
      workplace.remove();
    }
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      leave();
      process.exit(128 + constants.signals[signal]);
    });
  }
  try {
    const checkout = findCheckout();
    const question = questionOf(workplace, checkout, options);
    if (question !== undefined) return await answerIn(workplace, checkout, options, question);
    return await compareIn(workplace, checkout, options, print);
  } finally {
    leave();
  }
}

/** Returns the question that the options select; undefined for the comparison. */
function questionOf(
  workplace: Workplace,
  checkout: string,
  options: Options,
): (() => Promise<Answer>) | undefined {
  const { delayMs, shapesScale, webMib, bucketMib, largeMib, importMib } = options;
  const { releases: requested, sets: count, mount: read } = options;
  const at = [workplace, checkout] as const;
  if (shapesScale !== undefined) return () => shapes(...at, { ...options, shapesScale }, print);
  if (delayMs !== undefined) return () => far(...at, { ...options, delayMs }, print);
  if (options.sync) return () => sync(...at, options, print);
  if (options.parity) return () => parity(...at, options, print);
  if (options.tune) return () => tune(...at, options, print);
  if (options.takeover) return () => takeover(...at, options, print);
  if (importMib !== undefined) return () => imports(...at, { ...options, importMib }, print);
  if (largeMib !== undefined) return () => large(...at, { ...options, largeMib }, print);
  if (bucketMib !== undefined) return () => bucket(...at, { ...options, bucketMib }, print);
  if (webMib !== undefined) return () => web(...at, { ...options, webMib }, print);
  if (read !== undefined) return () => mount(...at, { ...options, mount: read }, print);
  if (count !== undefined) return () => sets(...at, { ...options, sets: count }, print);
  if (requested !== undefined) {
    return () => releases(...at, { ...options, releases: requested }, print);
  }
  return options.growth.length > 0 ? () => growth(...at, options, print) : undefined;
}

/** Answers a question other than the comparison. */
async function answerIn(
  workplace: Workplace,
  checkout: string,
  options: Options,
  question: () => Promise<Answer>,
): Promise<boolean> {
  const argv = [join(checkout, 'bin', 'tardis'), '--version'] as const;
  const { output } = await measure({ argv }, { logFile: workplace.log });
  const machine = describeMachine(workplace, { tardis: output });
  return give(await question(), machine, options);
}

/**
 * Returns the checkout, which has the launchers of tardis: the nearest directory above this file that has a
 * package.json.
 */
function findCheckout(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, 'package.json')) && directory !== '/') {
    directory = dirname(directory);
  }
  return directory;
}

async function main(): Promise<void> {
  try {
    const options = parseOptions(process.argv.slice(2));
    if (options === undefined) {
      process.stdout.write(USAGE);
      return;
    }
    process.exitCode = (await ask(options)) ? 0 : 1;
  } catch (error) {
    if (error instanceof UsageError) {
      print(`bench: ${error.message}`);
      process.exitCode = 2;
      return;
    }
    throw error;
  }
}

await main();
