// Pace: long
/** Sets in a bucket are deleted, and what only they used is deleted too, while other machines read and are killed. */
import fs from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { CLIENT, ServedLab } from '../helpers/bucket-lab.js';
import { codeIn, exited } from '../helpers/codes.js';
import { backupsRunHere, type Outcome, poolsStayAway, Running } from '../helpers/commands.js';
import { seed } from '../helpers/seed.js';
import { share, sweepShare } from '../helpers/share.js';
import { look } from '../helpers/tree.js';
import type { S3Fault } from '../support/s3-faults.js';
import type { S3Record } from '../support/s3-server.js';

backupsRunHere();
poolsStayAway();

const SECRET = 'gravel-Otter9-lamp';
const SETS = 3;
const PACK = /\/packs\//;

/** Starts machines whose bucket has a copy of three sets. No test may change the tree. */
const likeSets = ServedLab.alike(test, (model) => model.backUpThree());

async function isSound(t: ExecutionContext, lab: ServedLab, machine: string): Promise<void> {
  exited(t, 0, await lab.run(machine, 'sonic', ['check', '--read-data']));
}

test('deleted sets free their space in a bucket, and other machines go on', async (t) => {
  const lab = await ServedLab.grown(t);
  await lab.backUpThree();
  t.is((await lab.sets('two')).length, SETS);
  const before = lab.names(PACK);
  const reported = await lab.succeed('one', 'sonic', ['delete', '1', '2', '--yes']);
  t.regex(reported, /2 backup sets of "me" deleted/);
  const after = lab.names(PACK);
  t.true(after.length < before.length, `${before.length} packs, then ${after.length}`);
  t.deepEqual(
    (await lab.sets('two')).map(({ set }) => set),
    [3],
  );
  t.deepEqual(await lab.restored('two'), []);
  t.deepEqual(await lab.restored('three'), []);
  for (const machine of ['one', 'two', 'four']) await isSound(t, lab, machine);
  lab.change(9);
  await lab.backUp('two');
  t.deepEqual(await lab.restored('one'), []);
  t.is(codeIn(await lab.run('one', 'sonic', ['delete', '3', '--yes'])), undefined);
  const left = await lab.succeed('two', 'sonic', ['orphans']);
  t.regex(left, /0 packs? rewritten|deleted/);
  await isSound(t, lab, 'five');
  t.deepEqual(await lab.restored('five'), []);
});

test('a purge after a backup deletes sets in a bucket, and frees their space', async (t) => {
  const lab = await ServedLab.grown(t);
  await lab.backUpThree();
  await lab.succeed('two', 'sonic', ['setconfig', 'KeepLast', '1']);
  const before = lab.names(PACK).length;
  const [, second] = lab.names(PACK).sort();
  t.regex(await lab.succeed('two', 'sonic', ['purge', '--preview']), /2 backup sets of 3 would be/);
  lab.change(4);
  await lab.backUp('one', ['--purge']);
  t.is((await lab.sets('two')).length, 1);
  t.true(lab.names(PACK).length <= before, 'the packs of two sets are gone, and one set is new');
  t.false(lab.names(PACK).includes(second!), 'no later set needs the pack of the second one');
  t.deepEqual(await lab.restored('three'), []);
  lab.change(5);
  await lab.backUp('two');
  await lab.succeed('two', 'sonic', ['purge', '--keep-last', '1', '--yes']);
  t.is((await lab.sets('one')).length, 1);
  await isSound(t, lab, 'four');
});

test('an encrypted client in a bucket deletes sets with its password', async (t) => {
  const lab = await ServedLab.grown(t);
  const given = lab.password(SECRET);
  await lab.backUpThree([...given, '--crypt']);
  const before = lab.names(PACK).length;
  await lab.succeed('two', 'sonic', ['delete', '1', '2', '--yes', ...given]);
  t.true(lab.names(PACK).length < before);
  t.deepEqual(await lab.restored('one', given), []);
  t.deepEqual(await lab.restored('three', given), []);
});

test('marks and settings of a client in a bucket are changed on any machine', async (t) => {
  const lab = await likeSets(t);
  await lab.succeed('two', 'sonic', ['tag', '--add', 'good', '2']);
  await lab.succeed('one', 'sonic', ['lock', '1']);
  await lab.succeed('three', 'sonic', ['priority', '--to', '7', '3']);
  await lab.succeed('three', 'sonic', ['rename', '--to', 'before-upgrade', '3']);
  await lab.succeed('two', 'sonic', ['setconfig', 'KeepDaily', '5']);
  const shown = await lab.succeed('three', 'sonic', ['info', '2']);
  t.regex(shown, /good/);
  t.regex(await lab.succeed('three', 'sonic', ['getconfig', 'KeepDaily']), /5/);
  t.is(codeIn(await lab.run('two', 'sonic', ['delete', '1', '--yes'])), 'SET_LOCKED');
  await lab.succeed('two', 'sonic', ['lock', '--unlock', '1']);
  const before = lab.names(PACK).length;
  await lab.succeed('one', 'sonic', ['delete', '1', '--yes', '--no-clear-up']);
  const [, last] = await lab.sets('three');
  t.is(last?.name, 'before-upgrade');
  t.is(lab.names(PACK).length, before);
});

test('a password of a client in a bucket is changed, and every machine needs the new one', async (t) => {
  const lab = await ServedLab.start(t);
  const [old, next] = [lab.at('old'), lab.at('next')];
  fs.writeFileSync(old, SECRET, { mode: 0o600 });
  fs.writeFileSync(next, `${SECRET}-2`, { mode: 0o600 });
  lab.grow();
  await lab.backUp('one', ['--create', '--crypt', '--password-file', old]);
  await lab.sets('two', ['--password-file', old]);
  const words = ['chpass', '--password-file', old, '--newpassword-file', next];
  const both = await Promise.all(
    ['one', 'three'].map((machine) => lab.beside(machine, 'sonic', words)),
  );
  const codes = both.map((one) => (one.status === 0 ? 'done' : codeIn(one)));
  t.true(codes.includes('done'), both.map(({ stderr }) => stderr).join());
  t.true(
    codes.every((code) => ['done', 'STORE_TAKEN', 'LOGIN_FAILED'].includes(code!)),
    codes.join(),
  );
  for (const machine of ['one', 'two', 'three', 'four']) {
    const refused = await lab.run(machine, 'lstardis', ['--password-file', old]);
    t.is(codeIn(refused), 'LOGIN_FAILED', machine);
    t.deepEqual(await lab.restored(machine, ['--password-file', next]), []);
  }
  await lab.succeed('two', 'sonic', ['rotate', '--password-file', next]);
  lab.change(1);
  await lab.backUp('four', ['--password-file', next]);
  t.deepEqual(await lab.restored('one', ['--password-file', next]), []);
  t.deepEqual(await lab.restored('five', ['--password-file', next]), []);
});

test('a reader whose packs are deleted while it reads goes on with the new ones', async (t) => {
  let isReading = false;
  let deleting: Promise<Outcome> | undefined;
  const faultAt = ({ method, key }: S3Record): S3Fault | undefined => {
    if (!isReading || deleting !== undefined) return undefined;
    if (method !== 'GET' || !key.includes('/packs/')) return undefined;
    deleting = lab.beside('one', 'sonic', ['delete', '1', '2', '--yes', '--waste', '1']);
    return 'internal';
  };
  const lab: ServedLab = await likeSets(t, { faultAt });
  await lab.sets('two');
  isReading = true;
  t.deepEqual(await lab.restored('two'), []);
  t.is((await deleting)?.status, 0);
  isReading = false;
  t.deepEqual(await lab.restored('two'), []);
});

/** More requests than one command makes. */
const MOST_REQUESTS = 200;
const STRIDE = share < 1 ? Math.round(0.8 / sweepShare) : 1;

test('a deletion that is killed at any request loses nothing, and the next one goes on', async (t) => {
  let at = Infinity;
  let from = 0;
  let running: Running | undefined;
  const faults: readonly S3Fault[] = ['drop', 'apply, drop', 'drop, apply later'];
  const faultAt = ({ number }: S3Record): S3Fault | undefined => {
    if (number - from !== at) return undefined;
    running?.signalGroup('SIGKILL');
    return faults[number % faults.length];
  };
  const lab = await likeSets(t, { faultAt });
  await lab.sets('one');
  lab.teach('one', 'one');
  const kept = new Map(lab.server.objects.versions);
  const wanted = look(lab.source);
  for (let number = seed % STRIDE; number < MOST_REQUESTS; number += STRIDE) {
    lab.server.objects.versions.clear();
    for (const [name, versions] of kept) lab.server.objects.versions.set(name, versions);
    const machine = `one-${number}`;
    fs.cpSync(lab.at('one-cache'), lab.at(`${machine}-cache`), { recursive: true });
    from = lab.server.requests.length;
    at = number;
    const words = ['delete', '1', '2', '--yes', ...CLIENT];
    running = new Running('sonic', words, { env: lab.on(machine) });
    await running.ended;
    const wasStruck = lab.server.requests.length > from + number;
    at = Infinity;
    lab.server.settle();
    const what = `request ${number}`;
    t.deepEqual(await lab.restored(`fresh-${number}`, [], wanted), [], what);
    const again = await lab.run(machine, 'sonic', words.slice(0, -CLIENT.length));
    if (again.status !== 0) t.is(codeIn(again), 'NO_SUCH_SET', again.stderr);
    await lab.succeed(machine, 'sonic', ['orphans']);
    t.deepEqual(await lab.restored(`later-${number}`, [], wanted), [], what);
    await isSound(t, lab, `later-${number}`);
    if (!wasStruck) return;
  }
  t.fail('a deletion makes more requests');
});
