// Pace: slow
/** The fuzzing engine: it finds planted faults of each kind, keeps their inputs and makes them small. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { scratch } from '../helpers/scratch.js';
import { seed } from '../helpers/seed.js';
import { Mutator } from './engine/mutator.js';
import { seededRandom } from '../support/seeded-random.js';
import { fuzzTarget, replayInput, type Result } from './engine/watch.js';
import { moduleOf, targetNames } from './targets.js';

const at = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const KINDS = at('planted/kinds.js');
const DEEP = at('planted/deep.js');
const MAIN = at('main.js');
/** Limits of a search, which ends as soon as the fault is found. A round that begins badly needs a million inputs. */
const ROUNDS = 12;
const ROUND_SECONDS = 20;
const HANG_CPU_MS = 2000;

test.serial(
  'coverage leads to a fault behind four bytes, and the input is made small',
  async (t) => {
    let failure: Result['failure'];
    for (let round = 0; round < ROUNDS && failure === undefined; round += 1) {
      const job = { module: DEEP, seed: seed + round, seconds: ROUND_SECONDS };
      const found = await fuzzTarget(job);
      t.log(`${found.progress.executions} inputs (seed ${job.seed})`);
      ({ failure } = found);
    }
    t.is(failure?.input.toString('latin1'), 'deep');
    t.regex(failure?.fault.detail ?? '', /BrokenProperty: found in \d+ bytes/);
  },
);

test.serial('a fault of each kind is found, with its input', async (t) => {
  const kinds: Record<string, RegExp> = {
    throws: /^TypeError {2}planted/,
    aborts: /^died SIGABRT$/,
    hangs: /^hang$/,
    slow: /^slow$/,
    allocates: /^allocation$/,
    fills: /^memory$/,
  };
  const job = { module: KINDS, seed, hangCpuMs: HANG_CPU_MS };
  for (const [word, kind] of Object.entries(kinds)) {
    const { failure } = await replayInput(job, Buffer.from(word));
    t.regex(failure?.fault.kind ?? 'nothing', kind, word);
    t.is(failure?.input.toString('latin1'), word);
  }
  const { failure, word } = await replayInput(job, Buffer.from('else'));
  t.is(failure, undefined);
  t.is(word, 'sound');
});

test.serial('an input that kills the process is made small by other processes', async (t) => {
  const input = Buffer.from('aborts  ').toString('base64');
  const job = { module: KINDS, seed, seconds: 1, regressions: [input] };
  const { failure } = await fuzzTarget(job);
  t.is(failure?.fault.kind, 'died SIGABRT');
  t.is(failure?.input.toString('latin1'), 'aborts');
});

test.serial('what reaches new code is kept for the next run', async (t) => {
  const corpus = path.join(scratch(t), 'corpus');
  const job = { module: moduleOf('sparse'), seed };
  const { progress: first } = await fuzzTarget({ ...job, seconds: 1, corpus });
  t.is(readdirSync(corpus).length, first.kept - first.seeds);
  t.true(first.kept > first.seeds);
  const { progress: next } = await fuzzTarget({ ...job, seconds: 0, corpus });
  t.true(next.seeds > first.seeds, 'it begins with more');
});

test.serial('a seed gives the same inputs each time', (t) => {
  const made = (): string[] => {
    const other = Buffer.from('other');
    const mutator = new Mutator(seededRandom(seed), ['token'], 100, () => other);
    return Array.from({ length: 500 }, () => mutator.mutate(Buffer.from('input')).toString('hex'));
  };
  const inputs = made();
  t.deepEqual(made(), inputs);
  t.true(new Set(inputs).size > 250);
});

test.serial('npm run fuzz is quiet in a pipe, reports what it did, and replays an input', (t) => {
  const folder = scratch(t);
  const run = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
    spawnSync(process.execPath, [MAIN, '--directory', folder, ...args], { encoding: 'utf8' });
  const fuzzed = run('sparse', '--minutes', '0.01', '--seed', '5');
  t.is(fuzzed.status, 0, fuzzed.stderr);
  t.regex(fuzzed.stdout, /^sparse: nothing found by \d+ inputs in \d+ s \(seed 5.*\)\n$/);
  t.is(fuzzed.stderr, '');
  const listed = run('--list');
  t.deepEqual(
    listed.stdout
      .trim()
      .split('\n')
      .map((line) => line.split(' ')[0]),
    targetNames(),
  );
  const file = path.join(folder, 'input');
  writeFileSync(file, 'some bytes');
  const replayed = run('sparse', '--input', file);
  t.is(replayed.status, 0, replayed.stderr);
  t.regex(replayed.stdout, /^sparse: nothing wrong/);
  for (const wrong of [['no-target'], ['--minutes', 'x'], ['--input', file], ['--unheard']]) {
    t.is(run(...wrong).status, 1, wrong.join(' '));
  }
});

test.serial('a finding is written to a file that replays it, and is status 1', (t) => {
  const folder = scratch(t);
  const args = ['--directory', folder, '--minutes', '1', '--module', KINDS, 'kinds'];
  writeFileSync(path.join(folder, 'throws'), 'throws');
  const given = spawnSync(
    process.execPath,
    [MAIN, ...args, '--input', path.join(folder, 'throws')],
    { encoding: 'utf8' },
  );
  t.is(given.status, 1);
  t.regex(given.stdout, /^kinds: TypeError: planted, of 6 bytes\n/);
  const corpus = path.join(folder, 'corpus', 'kinds');
  mkdirSync(corpus, { recursive: true });
  writeFileSync(path.join(corpus, 'bad'), 'throws   ');
  const found = spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' });
  t.is(found.status, 1);
  t.regex(found.stdout, /npm run fuzz -- kinds --input .*findings\/kinds-[0-9a-f]{16}/);
  const [name] = readdirSync(path.join(folder, 'findings'));
  t.is(readFileSync(path.join(folder, 'findings', name!), 'latin1'), 'throws');
});
