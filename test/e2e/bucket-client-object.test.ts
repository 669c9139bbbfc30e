// Pace: slow
/** The object that makes a client in a bucket is missing or damaged. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { ServedLab } from '../helpers/bucket-lab.js';
import { codeIn, exited } from '../helpers/codes.js';
import { backupsRunHere, poolsStayAway } from '../helpers/commands.js';
import { ofThisRun } from '../helpers/share.js';

backupsRunHere();
poolsStayAway();

const OBJECT = 'all/c/me/client.json';

const LEFT = ['the log', 'a key record', 'a later generation'] as const;
for (const rest of ofThisRun(LEFT)) {
  test(`no client is created in the place of one that has lost its object, but not ${rest}`, async (t) => {
    const lab = await ServedLab.grown(t);
    const given = lab.password('gravel-Otter9-lamp');
    await lab.backUp('one', ['--create', ...given]);
    const { objects } = lab.server;
    const kept = {
      'the log': 'g1/log/0000000001',
      'a key record': 'keys/00000002.key',
      'a later generation': 'g2-0123456789abcdef/log/0000000001',
    }[rest];
    const name = `all/c/me/${kept}`;
    objects.versions.set(name, objects.versions.get('all/c/me/g1/log/0000000001')!);
    const object = objects.versions.get(OBJECT)!;
    for (const key of objects.keys()) if (key !== name) objects.versions.delete(key);
    const left = objects.keys();
    t.deepEqual(left, [name]);

    const others = lab.password('kelp-Sundry7-mulch');
    for (const words of [['--create', ...others], ['--create']]) {
      const refused = await lab.run('two', 'tardis', ['--local', ...words, lab.source]);
      t.is(codeIn(refused), 'FORMAT_DAMAGED', refused.stderr);
      t.true(refused.stderr.includes(`such as c/me/${kept}`), refused.stderr);
      t.regex(refused.stderr, /sonic bucket --recover/);
    }
    t.is(codeIn(await lab.run('three', 'sonic', ['create', ...others])), 'FORMAT_DAMAGED');
    t.deepEqual(objects.keys(), left, 'nothing was written');

    for (const tool of ['lstardis', 'tardis'] as const) {
      const words = tool === 'tardis' ? ['--local', lab.source, ...given] : given;
      t.is(codeIn(await lab.run('one', tool, words)), 'FORMAT_DAMAGED', tool);
    }
    t.true(fs.existsSync(path.join(lab.cacheOf('one'), 'tardis.db')), 'the cache is kept');
    objects.versions.set(OBJECT, object);
    t.is(codeIn(await lab.run('two', 'sonic', ['create', ...others])), 'CLIENT_EXISTS');
  });
}

test('a client of which a bucket has nothing left is created again, and its cache is discarded', async (t) => {
  const lab = await ServedLab.backedUp(t);
  for (const key of lab.server.objects.keys()) lab.server.objects.versions.delete(key);
  t.is(codeIn(await lab.run('one', 'lstardis', [])), 'NO_SUCH_CLIENT');
  await lab.backUp('one', ['--create']);
  t.is((await lab.sets('two')).length, 1);
});

const FIRST = 'gravel-Otter9-lamp';
const SECOND = 'kelp-Sundry7-mulch';

type Loss = (typeof LOSSES)[number];

function lose({ server: { objects } }: ServedLab, name: string, loss: Loss): void {
  if (loss === 'deleted') objects.versions.delete(name);
  else if (loss === 'changed') objects.spoil(name, (bytes) => bytes.subarray(1));
  else if (loss === 'overwritten') objects.put(name, Buffer.from('evil'), {});
  else if (loss === 'too large') objects.put(name, Buffer.alloc(300_000, 0x20), {});
  else objects.put(name, Buffer.from('{"version":1,"files":{"format.json":"e30="}}'), {});
}

const LOSSES = ['deleted', 'changed', 'overwritten', 'too large', 'of no format'] as const;
for (const loss of ofThisRun(LOSSES, (one) => [String(one === 'deleted')])) {
  test(`a machine that knows a client makes its object again, which was ${loss}`, async (t) => {
    const lab = await ServedLab.grown(t);
    const [before, given] = [lab.password(FIRST), lab.password(SECOND)];
    await lab.backUp('one', ['--create', ...before]);
    await lab.backUp('two', before);
    const next = ['--newpassword-file', given[1]!];
    await lab.succeed('one', 'sonic', ['chpass', ...before, ...next]);
    await lab.sets('two', given);
    lose(lab, OBJECT, loss);
    for (const machine of ['one', 'three']) {
      const refused = await lab.run(machine, 'lstardis', given);
      t.is(codeIn(refused), 'FORMAT_DAMAGED', refused.stderr);
    }
    const inode = fs.statSync(path.join(lab.cacheOf('two'), 'tardis.db')).ino;
    const mended = exited(t, 3, await lab.run('one', 'sonic', ['rebuild', ...given]));
    t.regex(
      mended.stdout,
      /^The object c\/me\/client\.json was lost or damaged, and was made again/,
    );
    t.deepEqual(await lab.restored('three', given), []);
    t.is(codeIn(await lab.run('four', 'lstardis', before)), 'LOGIN_FAILED');
    await lab.backUp('two', given);
    t.is(fs.statSync(path.join(lab.cacheOf('two'), 'tardis.db')).ino, inode, 'no cache is lost');
    exited(t, 0, await lab.run('two', 'sonic', ['rebuild', ...given]));
  });
}

test('the object of a client is made again without a cache, with the newest keys in the bucket', async (t) => {
  const lab = await ServedLab.grown(t);
  const [before, given] = [lab.password(FIRST), lab.password(SECOND)];
  await lab.backUp('one', ['--create', ...before]);
  const next = ['--newpassword-file', given[1]!];
  await lab.succeed('one', 'sonic', ['chpass', ...before, ...next]);
  lose(lab, OBJECT, 'deleted');
  exited(t, 3, await lab.run('two', 'sonic', ['rebuild', ...given]));
  t.deepEqual(await lab.restored('three', given), []);
  t.is(codeIn(await lab.run('four', 'lstardis', before)), 'LOGIN_FAILED');
  lose(lab, OBJECT, 'changed');
  lab.server.objects.spoil('all/c/me/keys/00000002.key', (bytes) => bytes.subarray(1));
  await lab.run('five', 'sonic', ['rebuild', ...given]);
  t.is(codeIn(await lab.run('five', 'lstardis', before)), 'KEYS_DAMAGED', 'no older key counts');
});

test('a client that has lost its object, all keys and all caches needs keys, and is not opened in clear', async (t) => {
  const lab = await ServedLab.grown(t);
  const given = lab.password(FIRST);
  await lab.backUp('one', ['--create', ...given]);
  lose(lab, OBJECT, 'deleted');
  await lab.run('two', 'sonic', ['rebuild']);
  t.true(lab.server.objects.keys().includes(OBJECT));
  const left = lab.stored();
  for (const [tool, words] of [
    ['lstardis', []],
    ['tardis', ['--local', lab.source]],
    ['sonic', ['setpass', ...given]],
  ] as const) {
    t.is(codeIn(await lab.run('three', tool, words)), 'KEYS_LOST', tool);
  }
  t.deepEqual(lab.stored(), left);
});

test('a client in clear that has lost its object and all caches gets a password, which others then need', async (t) => {
  const lab = await ServedLab.backedUp(t);
  lose(lab, OBJECT, 'overwritten');
  await lab.run('two', 'sonic', ['rebuild']);
  t.is(codeIn(await lab.run('two', 'lstardis', [])), 'KEYS_LOST');
  const given = lab.password(FIRST);
  await lab.succeed('two', 'sonic', ['setpass', ...given]);
  t.deepEqual(await lab.restored('three', given), []);
});

test('a later generation of a client gets its object again, and so does the first one', async (t) => {
  const lab = await ServedLab.grown(t);
  const [before, given] = [lab.password(FIRST), lab.password(SECOND)];
  await lab.backUp('one', ['--create', ...before]);
  const next = ['--newpassword-file', given[1]!];
  await lab.succeed('one', 'sonic', ['rekey', '--yes', ...before, ...next]);
  const later = lab.server.objects.keys().find((name) => /\/g2-.*\/client\.json$/.test(name))!;
  const cases = [
    [[OBJECT], 'one'],
    [[later], 'one'],
    [[OBJECT, later], 'one'],
    [[OBJECT, 'all/c/me/gen/0002.json'], 'one'],
    [[OBJECT], 'fresh'],
  ] as const;
  for (const [lost, machine] of ofThisRun(cases, ([, by]) => [by])) {
    for (const name of lost) lose(lab, name, 'deleted');
    exited(t, 3, await lab.run(machine, 'sonic', ['rebuild', ...given]));
    t.deepEqual(
      await lab.restored(`new-${lost.length}-${lost[0]}`.replaceAll('/', '-'), given),
      [],
    );
    t.is(codeIn(await lab.run('other', 'lstardis', before)), 'LOGIN_FAILED');
    fs.rmSync(lab.at('other-cache'), { recursive: true });
  }
});

test('no object is made from the cache of another client, nor from a log of several ones', async (t) => {
  const [lab, other] = [await ServedLab.start(t), await ServedLab.start(t)];
  for (const one of [lab, other]) {
    one.grow();
    await one.backUp('one', ['--create']);
  }
  lose(lab, OBJECT, 'deleted');
  fs.rmSync(lab.cacheOf('one'), { recursive: true });
  fs.cpSync(other.cacheOf('one'), lab.cacheOf('one'), { recursive: true });
  const foreign = await lab.run('one', 'sonic', ['rebuild']);
  t.is(codeIn(foreign), 'FORMAT_DAMAGED', foreign.stderr);
  t.regex(foreign.stderr, /of another client than the files of this machine/);
  const commit = 'all/c/me/g1/log/0000000002';
  lab.server.objects.versions.set(commit, other.server.objects.versions.get(commit)!);
  const mixed = await lab.run('two', 'sonic', ['rebuild']);
  t.regex(mixed.stderr, /commits of different clients/);
  lab.server.objects.versions.clear();
  t.is(codeIn(await lab.run('one', 'sonic', ['rebuild'])), 'NO_SUCH_CLIENT');
  t.deepEqual(lab.server.objects.keys(), [], 'a client that was deleted does not come back');
});

test('a damaged note of the next generation counts as none, and is made again', async (t) => {
  const lab = await ServedLab.grown(t);
  const [before, given] = [lab.password(FIRST), lab.password(SECOND)];
  await lab.backUp('one', ['--create', ...before]);
  const next = ['--newpassword-file', given[1]!];
  await lab.succeed('one', 'sonic', ['rekey', '--yes', ...before, ...next]);
  const note = 'all/c/me/gen/0002.json';
  const { objects } = lab.server;
  const whole = objects.bytesOf(note)!;
  for (const loss of ofThisRun(LOSSES, (one) => [String(one === 'deleted')])) {
    lose(lab, note, loss);
    t.deepEqual(await lab.restored(`fresh ${loss}`, given), [], loss);
    t.deepEqual(objects.bytesOf(note), whole, 'a machine without a cache makes it again');
    lose(lab, note, loss);
    await lab.succeed('one', 'sonic', ['check', '--repair', ...given]);
    t.deepEqual(objects.bytesOf(note), whole, 'so does a repair');
    t.is(codeIn(await lab.run(`other ${loss}`, 'lstardis', before)), 'LOGIN_FAILED');
  }
  objects.put(note, Buffer.from('g2-0123456789abcdef'), {});
  await lab.run('one', 'sonic', ['check', '--repair', ...given]);
  t.is(objects.bytesOf(note)!.toString(), 'g2-0123456789abcdef', 'a whole note is never replaced');
});
