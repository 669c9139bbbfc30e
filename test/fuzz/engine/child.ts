/**
 * The process in which a target runs: `node child.js SPEC`, where SPEC is a ChildSpec as JSON. It reports its progress
 * and its findings to its parent in messages. An input may kill it, so it is a process of its own.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { setImmediate } from 'node:timers/promises';
import { seededRandom } from '../../support/seeded-random.js';
import type { ChildSpec, FromChild } from './child-spec.js';
import { Coverage } from './coverage.js';
import { CurrentInput } from './current.js';
import { Executor, type Fault } from './executor.js';
import { Fuzzer, type Failure } from './fuzzer.js';
import { inputName } from './input-name.js';
import { minimise } from './minimise.js';
import { limitsOf, type Random, type Target } from './target.js';

const REPORT_MS = 250;
const MOST_MINIMISING_TRIES = 3000;
const MINIMISING_MS = 20_000;

function send(message: FromChild): void {
  process.send?.(message);
}

async function minimised(executor: Executor, { input, fault }: Failure): Promise<Buffer> {
  const endMs = performance.now() + MINIMISING_MS;
  return minimise(input, MOST_MINIMISING_TRIES, async (smaller) => {
    if (performance.now() > endMs) return false;
    const outcome = await executor.run(smaller);
    return 'fault' in outcome && outcome.fault.kind === fault.kind;
  });
}

function sendFailure(input: Buffer, fault: Fault): void {
  send({ type: 'failure', fault, input: input.toString('base64') });
}

async function replay(spec: ChildSpec, target: Target, executor: Executor): Promise<void> {
  await target.seeds(seededRandom(spec.seed)); // a target may prepare itself there
  const input = readFileSync(spec.input!);
  const outcome = await executor.run(input);
  if ('fault' in outcome) sendFailure(input, outcome.fault);
  else send({ type: 'word', word: outcome.word });
}

/** Returns the inputs that a former run kept. */
function keptBefore(folder: string | undefined): Buffer[] {
  if (folder === undefined) return [];
  mkdirSync(folder, { recursive: true });
  return readdirSync(folder)
    .sort()
    .map((name) => readFileSync(path.join(folder, name)));
}

async function fuzz(spec: ChildSpec, target: Target, executor: Executor): Promise<void> {
  const random: Random = seededRandom(spec.seed);
  const fuzzer = new Fuzzer(target, executor, coverage, random, (input) => {
    if (spec.corpus !== undefined) writeFileSync(path.join(spec.corpus, inputName(input)), input);
  });
  const given = spec.regressions.map((text) => Buffer.from(text, 'base64'));
  let failure = await fuzzer.begin([...given, ...(await target.seeds(random))], true);
  failure ??= await fuzzer.begin(keptBefore(spec.corpus), false);
  const seeds = fuzzer.kept.length;
  const report = (): void => {
    const [kept, reached] = [fuzzer.kept.length, fuzzer.reachedChars];
    send({ type: 'progress', executions: executor.executions, seeds, kept, reached });
  };
  const endMs = performance.now() + spec.seconds * 1000;
  for (let reportMs = 0; failure === undefined && performance.now() < endMs; ) {
    failure = await fuzzer.step();
    if (performance.now() < reportMs) continue;
    reportMs = performance.now() + REPORT_MS;
    report();
    await setImmediate(); // sends the message, and runs what a target left pending
  }
  report();
  if (failure !== undefined) sendFailure(await minimised(executor, failure), failure.fault);
}

const spec = JSON.parse(process.argv[2] ?? '') as ChildSpec;
// Created before the target is loaded: V8 counts blocks only in code compiled from then on.
const coverage = new Coverage();
const { target } = (await import(pathToFileURL(spec.module).href)) as { target: Target };
const current = new CurrentInput(spec.current, limitsOf(target).maxBytes);
const executor = new Executor(target, current);
await (spec.input === undefined ? fuzz(spec, target, executor) : replay(spec, target, executor));
current.close();
process.disconnect?.();
// A target may have left threads or timers.
process.exit(0);
