/** The command `npm run mutants`: breaks the program at random places, and reports which faults the tests find. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { CopiedCheckout } from './copied-checkout.js';
import { compiledOf, compiledPlace, type Reach, Reaches, reaches } from './reach.js';
import { changedText, isNative, type Mutant, sample, scriptOf } from './sample.js';

const USAGE = `usage: npm run mutants -- [--room NAME] [--count N] [--seed S] [OPTION...] [TEST...]
       npm run mutants -- --compare FILE [OPTION...] [TEST...]
       npm run mutants -- --coverage [OPTION...] [TEST...]

Makes N mutants (default: 20) of the rooms at or below NAME (a folder of src, or native; default: all in equal shares),
and runs each against the tests that reach its place, until one fails: those in the folder of the room first, and of
these the quickest. --compare tries the mutants of an earlier --json again, and names each that was found before and is
not now (status 1). --coverage only measures which code each TEST reaches (the beginning of a path below test/; default:
all). DIR keeps that until the code changes. Otherwise each TEST is measured that is not yet; without TEST, those in
the folder of NAME.
  --json FILE      writes the results
  --jobs N         runs N tests at once (default: 2)
  --tests N        tries at most N files of tests for each mutant (default: 20)
  --seconds N      ends each mutant, and each measurement of a file of tests, after N seconds (default: 300)
  --directory DIR  holds copies of the checkout, and what is measured (default: .mutants)`;

/** Time in which a file of tests ends, besides some times of what it usually takes. Else the mutant hangs. */
const GRACE_MS = 30_000;
const USUAL_TIMES = 5;
const SHOWN_CHARS = 70;
const NICENESS = 10;
const INTERRUPTED = 130;

interface Tried extends Mutant {
  readonly outcome: 'found' | 'survived' | 'not reached' | 'does not compile';
  readonly by?: string;
  /** Files of tests that ran, and those that reach the place. */
  readonly ranFiles: number;
  readonly reachingFiles: number;
}

type Options = ReturnType<typeof optionsOf>;

function optionsOf() {
  const text = (value?: string) => ({ type: 'string' as const, default: value });
  const files = { json: text(), compare: text(), directory: text('.mutants') };
  const numbers = { count: text('20'), jobs: text('2'), tests: text('20'), seconds: text('300') };
  const flags = { coverage: { type: 'boolean' }, help: { type: 'boolean' } } as const;
  const others = { room: text(), seed: text(), ...flags };
  const { values, positionals: tests } = parseArgs({
    allowPositionals: true,
    options: { ...files, ...numbers, ...others },
  });
  const [count, jobs, maxTests, seconds] = (['count', 'jobs', 'tests', 'seconds'] as const).map(
    (name) => {
      if (!(Number(values[name]) >= 1)) throw new Error(`--${name} must be a number from 1`);
      return Number(values[name]);
    },
  ) as [number, number, number, number];
  const room = values.room?.replaceAll(/^src\/|\/$/g, '');
  const seed = values.seed ?? String(Math.floor(Math.random() * 2 ** 31));
  const folder = path.resolve(values.directory!);
  return { ...values, folder, room, seed, count, jobs, maxTests, limitMs: seconds * 1000, tests };
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Does the work for each item, in several workers that share the items. */
async function shared<T, W>(
  items: readonly T[],
  workers: readonly W[],
  work: (item: T, worker: W) => Promise<void>,
): Promise<void> {
  const waiting = [...items];
  const run = async (worker: W): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
      await work(next, worker);
  };
  await Promise.all(workers.map(run));
}

/** Measures the files of tests that are due and not known, and returns all that are known and pass. */
async function measured({ jobs, limitMs, folder, room, tests, coverage }: Options) {
  const cache = new Reaches(path.join(folder, 'reach'), limitMs);
  const all = fs.globSync('test/**/*.test.ts').sort();
  const rooms = coverage === true ? [''] : room === undefined ? [] : [`${room}/`];
  const begins = tests.length === 0 ? rooms : tests.map((test) => test.replace(/^test\//, ''));
  const due = all.filter(
    (test) =>
      begins.some((begin) => test.startsWith(`test/${begin}`)) && cache.known(test) === undefined,
  );
  if (due.length > 0) {
    const copy = new CopiedCheckout(path.join(folder, 'measured'));
    copy.make(true);
    await shared(due, Array.from({ length: jobs }), async (test) => {
      const { outcome, seconds } = await cache.measure(copy, test);
      print(`${outcome}: ${test}, ${seconds} s`);
    });
  }
  const known = all.flatMap((test) => cache.known(test) ?? []);
  const late = known.filter(({ outcome }) => outcome === 'too long').map(({ test }) => test);
  print(`${known.length} of ${all.length} files of tests are measured`);
  if (late.length > 0) print(`left out, since they take too long: ${late.join(' ')}`);
  return known.filter(({ outcome }) => outcome === 'passed');
}

/**
 * Returns the files of tests that reach a mutant: the one that found it before, then those in the folder of its room, the
 * quickest first. Code that runs as its module is loaded is reached by many that test other things.
 */
function reaching({ by, ...mutant }: Mutant & Partial<Tried>, known: readonly Reach[]): Reach[] {
  const { file, line, start, room } = mutant;
  const column = start - fs.readFileSync(file, 'utf8').lastIndexOf('\n', start - 1) - 1;
  const at = isNative(mutant) ? line : compiledPlace(file, line - 1, column);
  const rankOf = ({ test }: Reach): number =>
    test === by ? 0 : test.startsWith(`test/${room}/`) ? 1 : 2;
  return known
    .filter((reach) => reaches(reach, isNative(mutant) ? file : compiledOf(file), at))
    .toSorted((a, b) => rankOf(a) - rankOf(b) || a.seconds - b.seconds);
}

/** Makes a mutant in a copy, runs the tests until one fails, and puts the file back. */
async function tried(
  mutant: Mutant,
  copy: CopiedCheckout,
  tests: readonly Reach[],
  { limitMs, maxTests }: Options,
): Promise<Tried> {
  const deadlineMs = performance.now() + limitMs;
  const result = { ...mutant, by: undefined, ranFiles: 0, reachingFiles: tests.length };
  if (tests.length === 0) return { ...result, outcome: 'not reached' };
  const text = changedText(fs.readFileSync(mutant.file, 'utf8'), mutant);
  const target = isNative(mutant) ? mutant.file : compiledOf(mutant.file);
  copy.write(target, isNative(mutant) ? text : scriptOf(text)!);
  try {
    if (isNative(mutant) && !copy.buildNative()) return { ...result, outcome: 'does not compile' };
    for (const { test, seconds } of tests.slice(0, maxTests)) {
      if (performance.now() > deadlineMs) break;
      const run = () => copy.run(compiledOf(test), GRACE_MS + USUAL_TIMES * seconds * 1000);
      const outcome = await run();
      result.ranFiles += 1;
      // A test that fails on a busy machine only has found nothing.
      const isFound =
        outcome === 'too long' || (outcome === 'failed' && (await run()) !== 'passed');
      if (isFound) return { ...result, outcome: 'found', by: test };
    }
    return { ...result, outcome: 'survived' };
  } finally {
    copy.restore(target);
    if (isNative(mutant)) copy.restore('native/build/Release/tardis_native.node');
  }
}

function lineOf(one: Tried): string {
  const short = (text: string): string => text.replaceAll(/\s+/g, ' ').slice(0, SHOWN_CHARS);
  const ran = one.outcome === 'survived' ? ` ${one.ranFiles} of ${one.reachingFiles} files` : '';
  const result = one.by === undefined ? `${one.outcome}${ran}` : `found by ${one.by}`;
  return `${result} | ${one.file}:${one.line} | ${one.kind} | ${short(one.original)} -> ${short(one.changed)}`;
}

function printShares(all: readonly Tried[]): void {
  const counted = all.filter(({ outcome }) => outcome !== 'does not compile');
  for (const [room, some] of [
    ...Map.groupBy(counted, ({ room }) => room),
    ['all', counted] as const,
  ]) {
    const count = (wanted: string): number =>
      some.filter(({ outcome }) => outcome === wanted).length;
    const share = Math.round((100 * count('found')) / Math.max(1, some.length));
    const others = `${count('survived')} survived, ${count('not reached')} not reached`;
    print(`${room}: ${some.length} mutants, ${count('found')} found (${share} %), ${others}`);
  }
}

/** Returns the mutants of an earlier run whose text is still there. */
function earlier(file: string): Tried[] {
  const all = JSON.parse(fs.readFileSync(file, 'utf8')) as Tried[];
  const same = all.filter(({ file, start, end, original }) => {
    return fs.existsSync(file) && fs.readFileSync(file, 'utf8').slice(start, end) === original;
  });
  if (same.length < all.length) print(`${all.length - same.length} mutants are of changed texts`);
  return same;
}

async function main(options: Options): Promise<number> {
  if (options.help === true) {
    print(USAGE);
    return 0;
  }
  const known = await measured(options);
  if (options.coverage === true) return 0;
  const before = options.compare === undefined ? undefined : earlier(options.compare);
  if (before === undefined) print(`seed ${options.seed}`);
  const mutants = before ?? sample(options.room, options.count, options.seed);
  const copies = Array.from({ length: options.jobs }, (_, at) => {
    const copy = new CopiedCheckout(path.join(options.folder, `copy-${at}`));
    copy.make(false);
    return copy;
  });
  const results = new Map<Mutant, Tried>();
  await shared(mutants, copies, async (mutant, copy) => {
    const result = await tried(mutant, copy, reaching(mutant, known), options);
    results.set(mutant, result);
    print(lineOf(result));
    const text = JSON.stringify(
      mutants.flatMap((one) => results.get(one) ?? []),
      null,
      1,
    );
    if (options.json !== undefined) fs.writeFileSync(options.json, `${text}\n`);
  });
  printShares(mutants.map((mutant) => results.get(mutant)!));
  const isLost = (one: Tried): boolean =>
    one.outcome === 'found' && results.get(one)!.outcome !== 'found';
  const lost = before?.filter(isLost) ?? [];
  for (const one of lost) print(`no longer ${lineOf(one)}`);
  return lost.length === 0 ? 0 : 1;
}

os.setPriority(NICENESS);
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => process.exit(INTERRUPTED));
try {
  process.exitCode = await main(optionsOf());
} catch (error) {
  process.stderr.write(`mutants: ${(error as Error).message} (--help shows the options)\n`);
  process.exit(1); // tests of other mutants may still run
}
