// Pace: long
/** A thief with the access key of a machine overwrites, deletes and forges objects; they are brought back. */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { ServedLab, STORE } from '../helpers/bucket-lab.js';
import { bucketAt } from '../helpers/buckets.js';
import { codeIn, exited } from '../helpers/codes.js';
import { backupsRunHere, type Outcome, poolsStayAway, run, succeed } from '../helpers/commands.js';
import { differences, look } from '../helpers/tree.js';
import type { ObjectStore } from '../../src/store/objects/index.js';
import { BUCKET } from '../support/s3-server.js';

backupsRunHere();
poolsStayAway();

const LOCK_DAYS = 30;
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const LOCKED = ['--lock-days', String(LOCK_DAYS)];
const SETS = 3;
const JUNK = Buffer.from('not what was stored');

const LOCKS = { locks: 'honoured' } as const;
/** Starts machines whose bucket has a copy of three sets. No test may change the tree. */
const withSets = ServedLab.alike(test, (model) => model.backUpThree(LOCKED), LOCKS);

/** Opens the bucket with the rights of a machine. */
async function thiefIn(t: ExecutionContext, { server }: ServedLab): Promise<ObjectStore> {
  const { store } = await bucketAt(server.url, { prefix: 'all' });
  t.teardown(() => store.close());
  return store;
}

/** Returns the objects that are locked and brought back: all but those of the journal. */
function namesIn(lab: ServedLab): string[] {
  return lab.stored().map((key) => key.slice('all/'.length));
}

/** Returns a digest of each of these objects, as it is now. */
function bytesIn(lab: ServedLab): Record<string, string> {
  const { objects } = lab.server;
  return Object.fromEntries(lab.stored().map((key) => [key, digestOf(objects.bytesOf(key)!)]));
}

function digestOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function bucket(lab: ServedLab, args: readonly string[]): Promise<Outcome> {
  return run('sonic', ['bucket', '-D', STORE, ...args], { env: lab.on('keeper') });
}

async function recovered(t: ExecutionContext, lab: ServedLab, args: readonly string[] = LOCKED) {
  const { stdout } = exited(t, 0, await bucket(lab, ['--recover', '--json', ...args]));
  return JSON.parse(stdout) as Readonly<Record<string, number>>;
}

async function isSound(t: ExecutionContext, lab: ServedLab, machine: string): Promise<void> {
  t.deepEqual(await lab.restored(machine), []);
  exited(t, 0, await lab.run(machine, 'sonic', ['check', '--read-data']));
}

test('what a thief overwrote and deleted in a bucket is brought back, and a fresh machine restores it', async (t) => {
  const lab = await ServedLab.grown(t, LOCKS);
  await lab.backUpThree(LOCKED);
  const account = (machine: string, ...words: string[]): Promise<string> =>
    lab.succeed(machine, 'sonic', ['account', ...words, ...LOCKED]);
  await account('one', '--add', 'bot', '--rights', 'list', '--token');
  await account('one', '--remove', 'bot');
  const thief = await thiefIn(t, lab);
  const [before, names] = [bytesIn(lab), namesIn(lab)];
  t.true(names.length > 8, names.join(' '));
  for (const [at, name] of names.entries()) {
    if (at % 3 !== 1) for (let time = 0; time <= at % 2; time += 1) await thief.putOwn(name, JUNK);
    if (at % 3 !== 0) await thief.remove([name]);
  }
  const [record, ...records] = lab.names(/\/runs\//).map((key) => key.slice('all/'.length));
  await thief.putOwn(record!, JUNK);
  await thief.remove(records);
  t.not((await lab.run('two', 'lstardis', [])).status, 0);
  const { changed, hidden, lost, strange } = await recovered(t, lab);
  t.is(changed! + hidden!, names.length);
  t.true(changed! > 2 && hidden! > 2);
  t.deepEqual([lost, strange], [0, 0], 'records of runs are passed over');
  t.deepEqual(bytesIn(lab), before);
  await isSound(t, lab, 'three');
  t.regex(await account('three'), /has no other accounts/);
  t.like(await recovered(t, lab), { changed: 0, hidden: 0 });
  lab.change(9);
  await lab.backUp('one', LOCKED);
  await isSound(t, lab, 'four');
});

test('nobody deletes a version that is locked, or the bytes that were brought back', async (t) => {
  const lab = await withSets(t);
  const { objects } = lab.server;
  const thief = await thiefIn(t, lab);
  await thief.remove(namesIn(lab));
  await recovered(t, lab);
  for (const name of namesIn(lab)) {
    const all = objects.versionsOf(`all/${name}`);
    t.is(all.length, 2);
    for (const { id } of all) t.is(objects.remove(`all/${name}`, id).status, 403, name);
  }
});

test('a dry run of --recover shows what a thief did, and writes nothing', async (t) => {
  const lab = await withSets(t);
  const thief = await thiefIn(t, lab);
  const [first, second] = namesIn(lab);
  await thief.putOwn(first!, JUNK);
  await thief.remove([second!]);
  const before = bytesIn(lab);
  const { stdout } = exited(t, 0, await bucket(lab, ['--recover', '--dry-run']));
  t.true(stdout.includes(`overwritten: ${first}`) && stdout.includes(`deleted: ${second}`), stdout);
  t.regex(stdout, /1 overwritten and 1 deleted, would be brought back/);
  t.deepEqual(bytesIn(lab), before);
});

test('packs that were deleted since nothing needed them stay deleted', async (t) => {
  const lab = await withSets(t);
  await lab.succeed('one', 'sonic', ['delete', '1', '2', '--yes', ...LOCKED]);
  const names = namesIn(lab);
  const thief = await thiefIn(t, lab);
  await thief.remove(names);
  const { freed, hidden } = await recovered(t, lab);
  t.true(freed! > 0);
  t.is(hidden, names.length);
  t.deepEqual(namesIn(lab), names);
  await isSound(t, lab, 'two');
});

test('packs stay needed if a commit that could cover them cannot be read', async (t) => {
  const lab = await withSets(t);
  const names = namesIn(lab);
  const commits = names.filter((name) => name.includes('/log/'));
  for (const name of commits) lab.server.objects.spoil(`all/${name}`, () => JUNK);
  const thief = await thiefIn(t, lab);
  await thief.remove(names);
  const { stdout } = await bucket(lab, ['--recover', '--json', ...LOCKED]);
  const { freed, hidden, lost } = JSON.parse(stdout) as Readonly<Record<string, number>>;
  t.deepEqual([freed, lost, hidden], [0, commits.length, names.length - commits.length]);
});

test('an object that a thief stored by several requests never counts, whatever its date', async (t) => {
  const lab = await withSets(t);
  const { objects } = lab.server;
  const before = bytesIn(lab);
  for (const key of objects.keys()) objects.completeMultipart(key, JUNK, Date.now() - DAY_MS);
  objects.completeMultipart('all/c/me/g1/log/0000000099', JUNK, Date.now());
  const thief = await thiefIn(t, lab);
  await thief.remove(namesIn(lab).filter((name) => !name.endsWith('99')));
  const { stdout } = exited(t, 3, await bucket(lab, ['--recover', '--json', ...LOCKED]));
  t.like(JSON.parse(stdout), { strange: 1, lost: 0 });
  before['all/c/me/g1/log/0000000099'] = digestOf(JUNK);
  t.deepEqual(bytesIn(lab), before);
});

test('a commit that a thief has forged is left out of a copy of an earlier time', async (t) => {
  const lab = await withSets(t);
  const wanted = look(lab.source);
  lab.server.objects.pass(HOUR_MS);
  const noon = `@${Math.floor((Date.now() - HOUR_MS / 2) / 1000)}`;
  // A thief with the rights of a machine can commit what a machine can: here the deletion of sets, and then a forgery.
  await lab.succeed('thief', 'sonic', ['delete', '1', '2', '--yes', ...LOCKED]);
  const thief = await thiefIn(t, lab);
  const last = namesIn(lab)
    .filter((name) => name.includes('/log/'))
    .at(-1)!;
  const next = last.replace(/\d+$/, (digits) => String(Number(digits) + 1).padStart(10, '0'));
  t.is(await thief.putNew(next, JUNK), 'created');
  t.is(codeIn(await lab.run('two', 'lstardis', [])), 'RECORD_DAMAGED');
  const to = `s3://${BUCKET}/clean`;
  const args = ['--recover', '--to', to, '--before', noon, '--json', ...LOCKED];
  const copied = exited(t, 0, await bucket(lab, args));
  const { strange, younger } = JSON.parse(copied.stdout) as Readonly<Record<string, number>>;
  t.is(strange, 0);
  t.true(younger! >= 2, 'our own commit, and the forged one');
  const again = await bucket(lab, args);
  t.like(JSON.parse(again.stdout), { writtenBytes: 0 });
  const at = (machine: string) => ({ env: lab.on(machine) });
  const place = ['-D', to, '-C', 'me'];
  const listed = await run('lstardis', ['--json', ...place], at('fresh'));
  t.is((JSON.parse(listed.stdout) as { sets: unknown[] }).sets.length, SETS, listed.stderr);
  const output = lab.at('out');
  fs.mkdirSync(output);
  await succeed('regenerate', [lab.source, ...place, '-o', output], at('fresh'));
  t.deepEqual(differences(wanted, look(path.join(output, path.basename(lab.source)))), []);
  await succeed('sonic', ['check', '--read-data', ...place], at('fresh'));
  await succeed('tardis', ['--local', lab.source, ...place, ...LOCKED], at('fresh'));
});

test('objects that are not ours are reported, whether readers trip over them or not, and stay', async (t) => {
  const lab = await withSets(t);
  const thief = await thiefIn(t, lab);
  const last = namesIn(lab).filter((name) => name.includes('/log/')).length;
  const commit = (number: number): string => `c/me/g1/log/${String(number).padStart(10, '0')}`;
  const { objects } = lab.server;
  objects.put(`all/${commit(last + 1)}`, JUNK, {});
  objects.put(`all/${commit(last + 90)}`, JUNK, {});
  await thief.putNew(commit(last + 91), JUNK);
  objects.put(`all/${commit(last + 92)}`, objects.bytesOf(`all/${commit(1)}`)!, {});
  await thief.putNew(commit(last + 93), objects.bytesOf(`all/${commit(1)}`)!);
  await thief.putNew('c/me/junk', JUNK);
  await thief.putNew('c/me/g1/log/x', JUNK);
  await thief.putNew('c/me/copy.json', JUNK);
  await thief.putNew('c/me/gone', JUNK);
  await thief.remove(['c/me/gone']);
  const before = bytesIn(lab);
  for (const how of [['--dry-run'], []]) {
    const { stdout } = exited(t, 3, await bucket(lab, ['--recover', '--json', ...how, ...LOCKED]));
    const report = JSON.parse(stdout) as { objects: { name: string; result: string }[] };
    t.like(report, { changed: 0, hidden: 0, lost: 3, strange: 4 });
    const named = (result: string): string[] =>
      report.objects.flatMap((one) => (one.result === result ? [one.name] : [])).sort();
    t.deepEqual(
      named('lost'),
      [1, 90, 92].map((behind) => commit(last + behind)),
    );
    const strange = [commit(last + 91), commit(last + 93), 'c/me/g1/log/x', 'c/me/junk'];
    t.deepEqual(named('not ours'), strange);
    t.deepEqual(bytesIn(lab), before);
  }
});

test('a copy to a place that has other objects is refused', async (t) => {
  const lab = await withSets(t);
  lab.server.objects.put('clean/c/me/client.json', JUNK, {});
  const to = (place: string) => bucket(lab, ['--recover', '--to', place]);
  t.is(codeIn(await to(`s3://${BUCKET}/clean`)), 'CONFIG_INVALID');
  t.is(codeIn(await to(STORE)), 'USAGE');
  t.is(codeIn(await to('/tmp/x')), 'CONFIG_INVALID');
  t.is(codeIn(await bucket(lab, ['--recover', '--before', '1h'])), 'USAGE');
  t.is(codeIn(await bucket(lab, ['--dry-run'])), 'USAGE');
});

test('an interrupted recovery goes on, and a fault at any request harms nothing', async (t) => {
  let left = Infinity;
  const lab = await withSets(t, {
    faultAt: ({ method }) => {
      left -= 1;
      return left <= 0 && method === 'PUT' ? 'drop' : undefined;
    },
  });
  const [before, names] = [bytesIn(lab), namesIn(lab)];
  const thief = await thiefIn(t, lab);
  await thief.remove(names);
  const { versions } = await bucketAt(lab.server.url, { prefix: 'all', patienceMs: 0 });
  const { recover } = await import('../../src/maintenance/bucket-versions/index.js');
  for (const requests of [2, 6, 10]) {
    left = requests;
    await t.throwsAsync(recover(versions, { isPreview: false }));
  }
  left = Infinity;
  const stop = AbortSignal.abort();
  const interrupted = recover(versions, { isPreview: false, signal: stop });
  t.like(await t.throwsAsync(interrupted), { code: 'INTERRUPTED' });
  const { hidden } = await recover(versions, { isPreview: false });
  t.true(hidden > 0 && hidden < names.length, `${hidden} of ${names.length}`);
  t.deepEqual(bytesIn(lab), before);
});

test('objects whose stored bytes are damaged are reported as lost, and the rest is brought back', async (t) => {
  const lab = await withSets(t);
  const [first] = namesIn(lab).filter((name) => name.includes('/packs/'));
  lab.server.objects.spoil(`all/${first}`, () => Buffer.alloc(100));
  const thief = await thiefIn(t, lab);
  const names = namesIn(lab);
  await thief.remove(names);
  const { stdout } = exited(t, 3, await bucket(lab, ['--recover', ...LOCKED]));
  t.true(stdout.includes(`lost: ${first}`), stdout);
  t.is(namesIn(lab).length, names.length - 1);
});

test('locks are made longer when less than half of their time is left', async (t) => {
  const lab = await withSets(t);
  const { objects } = lab.server;
  const extend = async () => {
    const { status, stdout, stderr } = await bucket(lab, ['--extend', '--json', ...LOCKED]);
    return { status, ...(JSON.parse(stdout || '{}') as Record<string, number>), stderr };
  };
  const all = namesIn(lab).length;
  t.like(await extend(), { status: 0, names: all, extended: 0, attacked: 0 });
  objects.pass(14 * DAY_MS);
  t.like(await extend(), { status: 0, extended: 0 });
  objects.pass(2 * DAY_MS);
  await lab.succeed('one', 'sonic', ['delete', '1', '2', '--yes', ...LOCKED]);
  const kept = namesIn(lab);
  t.like(await extend(), { status: 0, names: kept.length, unlocked: 0, attacked: 0 });
  t.like(await extend(), { status: 0, extended: 0 });
  // The locks of what was deleted end, those of what is needed do not.
  objects.pass(15 * DAY_MS);
  for (const key of objects.versions.keys()) {
    const [first] = objects.versionsOf(key);
    const isNeeded = kept.includes(key.slice('all/'.length));
    if (key.includes('/g1/'))
      t.is(objects.remove(key, first!.id).status, isNeeded ? 403 : 204, key);
  }
  const thief = await thiefIn(t, lab);
  await thief.putOwn(kept[0]!, JUNK);
  await thief.remove([kept[1]!]);
  t.like(await extend(), { status: 3, attacked: 2, names: kept.length });
  objects.pass(29 * DAY_MS);
  await recovered(t, lab);
  await isSound(t, lab, 'two');
  t.is(codeIn(await bucket(lab, ['--extend'])), 'USAGE');
});

test('a store without locks gets them by --extend', async (t) => {
  const lab = await ServedLab.backedUp(t, LOCKS);
  const shown = exited(t, 0, await bucket(lab, ['--extend', ...LOCKED]));
  t.regex(shown.stdout, /objects had no lock until now/);
  for (const name of namesIn(lab)) {
    const [first] = lab.server.objects.versionsOf(`all/${name}`);
    t.true(first!.retainUntilMs > Date.now() + 29 * DAY_MS, name);
  }
});

test('objects that a thief has planted get no lock, and ours do', async (t) => {
  const lab = await ServedLab.backedUp(t, LOCKS);
  const ours = namesIn(lab);
  const { objects } = lab.server;
  const thief = await thiefIn(t, lab);
  const last = ours.filter((name) => name.includes('/log/')).at(-1)!;
  const next = last.replace(/\d+$/, (digits) => String(Number(digits) + 1).padStart(10, '0'));
  const pack = ours.find((name) => name.includes('/packs/'))!;
  await thief.putNew(pack.replace(/\d+$/, '0999'), objects.bytesOf(`all/${pack}`)!);
  const first = exited(t, 0, await bucket(lab, ['--extend', '--json', ...LOCKED]));
  t.like(JSON.parse(first.stdout), { extended: ours.length, uncovered: 1, strange: 0 });
  for (const name of ours) t.true(objects.versionsOf(`all/${name}`)[0]!.retainUntilMs > 0, name);
  await thief.putNew(next, JUNK);
  objects.put('all/c/me/keys/00000009.key', JUNK, {});
  const { stdout } = exited(t, 3, await bucket(lab, ['--extend', ...LOCKED]));
  t.true(stdout.includes(`not locked: ${next}\n`), stdout);
  t.true(stdout.includes('not locked: c/me/keys/00000009.key\n'), stdout);
  t.is(objects.versionsOf(`all/${next}`)[0]!.retainUntilMs, 0);
});

test('a bucket without versions has nothing to bring back', async (t) => {
  const lab = await ServedLab.backedUp(t);
  t.like(await recovered(t, lab, []), { changed: 0, hidden: 0, lost: 0 });
});

test('what a rewrite has removed from a bucket with locks is not brought back, and the new generation is', async (t) => {
  const lab = await withSets(t);
  const gone = path.join(lab.source, 'passing');
  await lab.succeed('one', 'sonic', ['forget-path', gone, '--yes', ...LOCKED]);
  await lab.succeed('one', 'sonic', ['forget-path', '--finish', '--now', '--yes', ...LOCKED]);
  const names = namesIn(lab);
  const nothing = await recovered(t, lab);
  t.is(nothing['changed']! + nothing['hidden']! + nothing['lost']!, 0, JSON.stringify(nothing));
  t.deepEqual(namesIn(lab), names);
  const thief = await thiefIn(t, lab);
  for (const name of names.filter((one) => /\/g2-|\/gen\//.test(one))) await thief.remove([name]);
  t.not((await lab.run('two', 'lstardis', [])).status, 0);
  const { hidden } = await recovered(t, lab);
  t.true(hidden! >= 4, `${hidden} objects were brought back`);
  const wanted = new Map([...look(lab.source)].filter(([name]) => name !== 'passing'));
  t.deepEqual(await lab.restored('three', [], wanted), []);
});
