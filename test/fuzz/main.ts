/** The command `npm run fuzz`: fuzzes targets for minutes or hours, or replays one input. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { pathToFileURL } from 'node:url';
import type { Progress } from './engine/child-spec.js';
import type { Failure } from './engine/fuzzer.js';
import { inputName } from './engine/input-name.js';
import type { Target } from './engine/target.js';
import { fuzzTarget, replayInput } from './engine/watch.js';
import { regressionsOf } from './regressions.js';
import { moduleOf, targetNames } from './targets.js';

const USAGE = `usage: npm run fuzz -- [TARGET...] [--minutes N] [--jobs N] [--seed N] [--directory DIR]
       npm run fuzz -- TARGET --input FILE
       npm run fuzz -- --list

Feeds changed inputs to each TARGET (default: all) for N minutes (default: 10), so many targets at a time as there are
processors but one, or --jobs. Inputs that reach new code stay in DIR/corpus (default DIR: .fuzz) for the next run.
An input that breaks something is made small and written to DIR/findings; --input runs it again.
Status: 0 nothing found, 1 something found or wrong usage, 130 interrupted.`;

const DEFAULT_MINUTES = 10;
const DEFAULT_FOLDER = '.fuzz';
const MAX_SEED = 2 ** 31;
const INTERRUPTED = 130;
const SHOWN_LINES = 25;

interface Options {
  readonly targets: readonly { readonly name: string; readonly module: string }[];
  readonly seconds: number;
  readonly seed: number;
  readonly jobs: number;
  readonly folder: string;
  readonly input: string | undefined;
  readonly isList: boolean;
}

class UsageError extends Error {}

function numberOf(text: string | undefined, otherwise: number, what: string): number {
  if (text === undefined) return otherwise;
  const number = Number(text);
  if (text.trim() === '' || !(number >= 0)) throw new UsageError(`--${what} must be a number`);
  return number;
}

function optionsOf(args: readonly string[]): Options {
  const text = { type: 'string' } as const;
  const options = {
    minutes: text,
    seed: text,
    jobs: text,
    directory: text,
    input: text,
    module: text, // a target in another file, for tests of this command
    list: { type: 'boolean' },
    help: { type: 'boolean' },
  } as const;
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  if (values.help === true) throw new UsageError('');
  const known = targetNames();
  const targets = (positionals.length === 0 ? known : positionals).map((name) => {
    if (values.module !== undefined) return { name, module: path.resolve(values.module) };
    if (known.includes(name)) return { name, module: moduleOf(name) };
    throw new UsageError(`there is no target "${name}"; there are ${known.join(', ')}`);
  });
  if (values.input !== undefined && positionals.length !== 1) {
    throw new UsageError('--input needs one target');
  }
  const seed = numberOf(values.seed, Math.floor(Math.random() * MAX_SEED), 'seed');
  return {
    targets,
    seconds: 60 * numberOf(values.minutes, DEFAULT_MINUTES, 'minutes'),
    seed,
    jobs: Math.max(1, numberOf(values.jobs, os.availableParallelism() - 1, 'jobs')),
    folder: path.resolve(values.directory ?? DEFAULT_FOLDER),
    input: values.input,
    isList: values.list === true,
  };
}

function log(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** One line of a terminal with the progress of every running target; nothing in a pipe. */
class Line {
  private readonly running = new Map<string, Progress>();
  private readonly isShown = process.stderr.isTTY;

  update(name: string, progress: Progress): void {
    this.running.set(name, progress);
    this.show();
  }

  end(name: string): void {
    this.running.delete(name);
    if (this.isShown) process.stderr.write('\r\x1b[K');
  }

  private show(): void {
    if (!this.isShown) return;
    const parts = [...this.running].map(
      ([name, { executions, kept, reached }]) =>
        `${name}: ${executions} inputs, ${kept} kept, ${Math.round(reached / 1000)}k reached`,
    );
    const line = parts.join(' | ').slice(0, Math.max(20, process.stderr.columns - 1));
    process.stderr.write(`\r\x1b[K${line}`);
  }
}

function reported({ fault, input }: Failure): string {
  const lines = fault.detail.split('\n').slice(0, SHOWN_LINES).join('\n');
  return `${lines}\n  input of ${input.length} bytes: ${JSON.stringify(input.toString('latin1').slice(0, 200))}`;
}

async function list(): Promise<number> {
  for (const name of targetNames()) {
    const { target } = (await import(pathToFileURL(moduleOf(name)).href)) as { target: Target };
    log(`${name.padEnd(16)} ${target.about}`);
  }
  return 0;
}

async function replay({ targets, seed, input }: Options): Promise<number> {
  const [{ name, module }] = targets as [{ name: string; module: string }];
  const { failure, word } = await replayInput({ module, seed }, readFileSync(input!));
  log(failure === undefined ? `${name}: nothing wrong (${word})` : `${name}: ${reported(failure)}`);
  return failure === undefined ? 0 : 1;
}

async function fuzzAll(options: Options): Promise<number> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  const line = new Line();
  const waiting = [...options.targets];
  let found = 0;
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      if (stop.signal.aborted) return;
      if (await fuzzOne(options, next, line, stop.signal)) found += 1;
    }
  };
  await Promise.all(Array.from({ length: options.jobs }, work));
  if (stop.signal.aborted) return INTERRUPTED;
  return found === 0 ? 0 : 1;
}

/** Fuzzes one target; returns true if it found something. */
async function fuzzOne(
  { seconds, seed, folder }: Options,
  { name, module }: Options['targets'][number],
  line: Line,
  signal: AbortSignal,
): Promise<boolean> {
  const startMs = performance.now();
  const corpus = path.join(folder, 'corpus', name);
  const regressions = regressionsOf(name);
  const onProgress = (progress: Progress): void => line.update(name, progress);
  const job = { module, seed, seconds, regressions, corpus, onProgress, signal };
  const { failure, progress } = await fuzzTarget(job);
  line.end(name);
  const took = Math.round((performance.now() - startMs) / 1000);
  const figures = `${progress.executions} inputs in ${took} s (seed ${seed}, ${progress.kept} kept)`;
  if (failure === undefined) {
    log(`${name}: nothing found by ${figures}`);
    return false;
  }
  const findings = path.join(folder, 'findings');
  mkdirSync(findings, { recursive: true });
  const file = path.join(findings, `${name}-${inputName(failure.input)}`);
  writeFileSync(file, failure.input);
  log(`${name}: found by ${figures}: ${reported(failure)}`);
  log(`  again: npm run fuzz -- ${name} --input ${file}`);
  return true;
}

async function main(): Promise<number> {
  let options: Options;
  try {
    options = optionsOf(process.argv.slice(2));
  } catch (error) {
    const { message } = error as Error;
    process.stderr.write(message === '' ? `${USAGE}\n` : `fuzz: ${message}\n${USAGE}\n`);
    return message === '' ? 0 : 1;
  }
  if (options.isList) return list();
  return options.input === undefined ? fuzzAll(options) : replay(options);
}

process.exitCode = await main();
