import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Answer, give } from './answer.js';
import { Bench } from './bench.js';
import { bucket } from './bucket.js';
import { compareIn } from './compare.js';
import { far } from './far.js';
import { growth } from './growth.js';
import { imports } from './imports.js';
import { large } from './large.js';
import { describeMachine } from './machine.js';
import { killRunning } from './measure.js';
import { mount } from './mount.js';
import { type OptionQuestion, type Options, parseOptions, UsageError } from './options.js';
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

const ANSWERS: Readonly<Record<OptionQuestion, (bench: Bench) => Promise<Answer>>> = {
  bucket,
  delay: far,
  growth,
  imports,
  large,
  mount,
  parity,
  releases,
  sets,
  shapes,
  sync,
  takeover,
  tune,
  web,
};

const print = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

/** Answers the question that the options select, in a work place that is removed afterwards. */
async function ask(options: Options): Promise<boolean> {
  const workplace = new Workplace(options.work);
  const leave = (): void => {
    killRunning();
    if (options.keep) print(`kept: ${workplace.root}`);
    else workplace.remove();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      leave();
      process.exit(128 + constants.signals[signal]);
    });
  }
  try {
    const { question } = options;
    const bench = new Bench(workplace, findCheckout(), options, print);
    if (question === 'comparison') return await compareIn(bench);
    const { output } = await bench.run({ argv: [bench.program('tardis'), '--version'] });
    const machine = describeMachine(workplace, { tardis: output });
    return give(await ANSWERS[question](bench), machine, options);
  } finally {
    leave();
  }
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

try {
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) process.stdout.write(USAGE);
  else process.exitCode = (await ask(options)) ? 0 : 1;
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  print(`bench: ${error.message}`);
  process.exitCode = 2;
}
