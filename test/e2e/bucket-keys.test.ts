// Pace: long
/** Passwords and keys of clients in a bucket: set later, in key files and on paper, lost, and copied. */
import fs from 'node:fs';
import test from 'ava';
import { parseKeyRecord } from '../../src/crypto/index.js';
import { CLIENT, ServedLab, STORE } from '../helpers/bucket-lab.js';
import { NodeClient, startNode } from '../helpers/bucket-nodes.js';
import { codeIn } from '../helpers/codes.js';
import { backupsRunHere, poolsStayAway, run, succeed } from '../helpers/commands.js';

backupsRunHere();
poolsStayAway();

const FIRST: string = 'gravel-Otter9-lamp';
const SECOND: string = 'kelp-Sundry7-mulch';
const THIRD: string = 'plum-Winch3-kettle';

function keysIn(lab: ServedLab): string[] {
  return lab.names(/\/keys\//);
}

/** Deletes all versions of a key record. */
function lose({ server }: ServedLab, number: number): void {
  server.objects.versions.delete(`all/c/me/keys/0000000${number}.key`);
}

test('a client in a bucket gets a password later, which each machine and server then asks for', async (t) => {
  const lab = await ServedLab.backedUp(t);
  await lab.backUp('two');
  await lab.succeed('one', 'sonic', ['setpass', ...lab.password(FIRST)]);
  t.deepEqual(keysIn(lab), ['all/c/me/keys/00000001.key']);
  const again = await lab.run('two', 'sonic', ['setpass', ...lab.password(SECOND)]);
  t.is(codeIn(again), 'PASSWORD_IS_SET');
  for (const machine of ['one', 'two', 'three']) {
    t.is(codeIn(await lab.run(machine, 'lstardis', [lab.source])), 'PASSWORD_NEEDED', machine);
    t.is(codeIn(await lab.run(machine, 'tardis', ['--local', lab.source])), 'PASSWORD_NEEDED');
    const wrong = await lab.run(machine, 'lstardis', lab.password(SECOND));
    t.is(codeIn(wrong), 'LOGIN_FAILED', machine);
    await lab.backUp(machine, lab.password(FIRST));
  }
  t.is((await lab.sets('one', lab.password(FIRST))).length, 5, 'no cache was lost');
  await lab.succeed('two', 'sonic', [
    'chpass',
    ...lab.password(FIRST),
    ...lab.password(SECOND, '--newpassword-file'),
  ]);
  t.is(codeIn(await lab.run('one', 'lstardis', lab.password(FIRST))), 'LOGIN_FAILED');
  t.deepEqual(await lab.restored('four', lab.password(SECOND)), []);
});

test('a server on a bucket sets the password of a client that has none', async (t) => {
  const lab = await ServedLab.grown(t);
  await lab.succeed('one', 'sonic', ['create']);
  const node = await startNode(t, lab, 'node');
  const to = ['--server', '127.0.0.1', '--port', String(node.port), '--insecure-tcp'];
  const owner = new NodeClient(lab, 'me', FIRST);
  await owner.succeed(to, 'sonic', ['setpass']);
  const stranger = new NodeClient(lab, 'me', SECOND);
  t.is(codeIn(await stranger.run(to, 'lstardis', [])), 'LOGIN_FAILED');
  t.is((await new NodeClient(lab, 'me', FIRST).sets(to)).length, 0);
  t.is(codeIn(await lab.run('one', 'lstardis', [lab.source])), 'PASSWORD_NEEDED');
});

test('a password that was set later counts after the client was written anew', async (t) => {
  const lab = await ServedLab.backedUp(t);
  await lab.succeed('one', 'sonic', ['setpass', ...lab.password(FIRST)]);
  const forget = ['forget-path', `${lab.source}/docs`, '--yes', ...lab.password(FIRST)];
  await lab.succeed('two', 'sonic', forget);
  await lab.succeed('two', 'sonic', [
    'forget-path',
    '--finish',
    '--now',
    '--yes',
    ...lab.password(FIRST),
  ]);
  const isGone = (): boolean => keysIn(lab).every((name) => !name.startsWith('all/c/me/keys/'));
  t.true(isGone());
  for (const machine of ['one', 'two', 'three']) {
    t.is(codeIn(await lab.run(machine, 'lstardis', [lab.source])), 'PASSWORD_NEEDED', machine);
    t.is((await lab.sets(machine, lab.password(FIRST))).length, 1);
    t.true(isGone(), 'no machine brings the record of the former generation back');
  }
});

test('a former password does not count again when its successor is deleted from the bucket', async (t) => {
  const lab = await ServedLab.grown(t);
  await lab.backUp('one', ['--create', ...lab.password(FIRST), '--crypt']);
  const change = (from: string, to: string): Promise<string> => {
    const next = lab.password(to, '--newpassword-file');
    return lab.succeed('one', 'sonic', ['chpass', ...lab.password(from), ...next]);
  };
  await change(FIRST, SECOND);
  lose(lab, 2);
  t.is(codeIn(await lab.run('one', 'lstardis', lab.password(FIRST))), 'LOGIN_FAILED');
  t.deepEqual(
    keysIn(lab),
    ['all/c/me/keys/00000002.key'],
    'the machine that knows it puts it back',
  );
  t.is(codeIn(await lab.run('two', 'lstardis', lab.password(FIRST))), 'LOGIN_FAILED');
  await change(SECOND, THIRD);
  await lab.sets('two', lab.password(THIRD));
  lose(lab, 2);
  lose(lab, 3);
  t.is(codeIn(await lab.run('one', 'lstardis', lab.password(FIRST))), 'LOGIN_FAILED');
  t.deepEqual(keysIn(lab), ['all/c/me/keys/00000002.key'], 'record 3, behind the first one');
  for (const machine of ['two', 'three']) {
    t.is(codeIn(await lab.run(machine, 'lstardis', lab.password(SECOND))), 'LOGIN_FAILED', machine);
    t.is((await lab.sets(machine, lab.password(THIRD))).length, 1, machine);
  }
  await change(THIRD, FIRST);
  t.is((await lab.sets('four', lab.password(FIRST))).length, 1);
});

test('a key file brings back what a bucket has lost of several key records, with or without a cache', async (t) => {
  const lab = await ServedLab.grown(t);
  await lab.backUp('one', ['--create', ...lab.password(FIRST), '--crypt']);
  const former = lab.at('former keys');
  await lab.succeed('one', 'sonic', [
    'keys',
    '--extract',
    '--keys',
    former,
    ...lab.password(FIRST),
  ]);
  const change = (from: string, to: string): Promise<string> => {
    const next = lab.password(to, '--newpassword-file');
    return lab.succeed('one', 'sonic', ['chpass', ...lab.password(from), ...next]);
  };
  await change(FIRST, SECOND);
  await change(SECOND, THIRD);
  const now = lab.password(THIRD);
  const words = ['--keys', lab.at('key file'), ...now];
  await lab.succeed('one', 'sonic', ['keys', '--extract', ...words]);
  lose(lab, 2);
  lose(lab, 3);
  t.is(
    codeIn(await lab.run('two', 'sonic', ['keys', '--insert', '--keys', former, ...now])),
    'LOGIN_FAILED',
  );
  t.deepEqual(keysIn(lab), []);
  await lab.succeed('two', 'sonic', ['keys', '--insert', ...words]);
  t.is(parseKeyRecord(lab.server.objects.bytesOf('all/c/me/keys/00000002.key')!).number, 4);
  for (const machine of ['one', 'two', 'three']) {
    t.is(codeIn(await lab.run(machine, 'lstardis', lab.password(FIRST))), 'LOGIN_FAILED', machine);
    t.deepEqual(await lab.restored(machine, now), [], machine);
  }
  lose(lab, 2);
  const again = ['keys', '--insert', '--keys', lab.at('key file'), ...now];
  await lab.succeed('one', 'sonic', again);
  t.deepEqual(await lab.restored('four', now), []);
  for (const name of [...keysIn(lab), 'all/c/me/client.json']) {
    lab.server.objects.versions.delete(name);
  }
  await lab.run('five', 'sonic', ['rebuild']);
  t.is(codeIn(await lab.run('five', 'lstardis', now)), 'KEYS_LOST');
  await lab.succeed('five', 'sonic', again);
  t.deepEqual(await lab.restored('six', now), []);
});

test('keys of a client in a bucket are copied to a file and to paper, and put back after damage', async (t) => {
  const lab = await ServedLab.grown(t);
  const given = lab.password(FIRST);
  await lab.backUp('one', ['--create', ...given, '--crypt']);
  const next = lab.password(SECOND, '--newpassword-file');
  await lab.succeed('one', 'sonic', ['chpass', ...given, ...next]);
  const [file, now] = [lab.at('key file'), lab.password(SECOND)];
  const words = [...now, '--keys', file];
  await lab.succeed('two', 'sonic', ['keys', '--extract', ...words]);
  t.true(fs.readFileSync(file, 'utf8').includes('record 2'));
  await lab.succeed('two', 'sonic', ['keys', '--pdf', lab.at('sheet.pdf'), ...now]);
  t.true(fs.readFileSync(lab.at('sheet.pdf')).includes('%PDF'));
  const taken = await lab.run('two', 'sonic', ['keys', '--extract', '--remove', ...words]);
  t.is(codeIn(taken), 'CONFIG_INVALID');
  t.regex(taken.stderr, /keeps every earlier key record/);
  await lab.succeed('two', 'sonic', ['keys', '--insert', ...words]);
  t.is(keysIn(lab).length, 1, 'the bucket has the keys already');
  lab.server.objects.spoil('all/c/me/keys/00000002.key', (bytes) => {
    bytes[100]! ^= 1;
    return bytes;
  });
  t.is(codeIn(await lab.run('three', 'lstardis', now)), 'KEYS_DAMAGED');
  await lab.succeed('three', 'sonic', ['keys', '--insert', ...words]);
  t.is(keysIn(lab).length, 2);
  for (const machine of ['one', 'two', 'four']) {
    t.deepEqual(await lab.restored(machine, now), [], machine);
  }
});

test('a client whose keys are in a file only changes its password in a bucket', async (t) => {
  const lab = await ServedLab.grown(t);
  const file = ['--keys', lab.at('key file')];
  await lab.succeed('one', 'sonic', ['create', ...lab.password(FIRST), ...file]);
  await lab.backUp('one', [...lab.password(FIRST), ...file]);
  const next = lab.password(SECOND, '--newpassword-file');
  await lab.succeed('two', 'sonic', ['chpass', ...lab.password(FIRST), ...next, ...file]);
  const record = lab.server.objects.bytesOf('all/c/me/keys/00000002.key')!;
  t.false(parseKeyRecord(record).hasKeys);
  t.deepEqual(await lab.restored('three', [...lab.password(SECOND), ...file]), []);
});

test('a copy in a bucket gets the newest keys of a source that changed them several times', async (t) => {
  const lab = await ServedLab.grown(t);
  const env = lab.on('one');
  const here = ['-D', lab.at('store'), '-C', 'me'];
  const onOne = (tool: 'tardis' | 'sonic', words: readonly string[]) =>
    succeed(tool, words, { env });
  const copy = (...words: string[]) => onOne('sonic', ['copy', ...here, '--to', STORE, ...words]);
  await onOne('tardis', ['--local', ...here, '--create', ...lab.password(FIRST), lab.source]);
  await copy('--create');
  let before = FIRST;
  for (const after of [SECOND, THIRD, FIRST, SECOND]) {
    const next = lab.password(after, '--newpassword-file');
    await onOne('sonic', ['chpass', ...here, ...lab.password(before), ...next]);
    before = after;
    if (after !== FIRST) continue;
    await copy();
    t.deepEqual(keysIn(lab), ['all/c/me/keys/00000002.key']);
    t.is(codeIn(await lab.run('two', 'lstardis', lab.password(THIRD))), 'LOGIN_FAILED');
    await lab.sets('two', lab.password(FIRST));
  }
  await copy();
  t.deepEqual(
    keysIn(lab),
    ['all/c/me/keys/00000002.key', 'all/c/me/keys/00000005.key'],
    'records 4 and 5',
  );
  t.is(codeIn(await lab.run('two', 'lstardis', lab.password(FIRST))), 'LOGIN_FAILED');
  t.deepEqual(await lab.restored('three', lab.password(SECOND)), []);
});

test('the catalog of a client in a bucket is upgraded on request', async (t) => {
  const lab = await ServedLab.backedUp(t);
  t.regex(await lab.succeed('one', 'sonic', ['upgrade']), /has version 1, the newest one/);
  t.regex(await lab.succeed('two', 'sonic', ['upgrade']), /does not exist here yet/);
  const other = await run('sonic', ['upgrade', '-D', STORE, '-C', 'other'], { env: lab.on('one') });
  t.is(codeIn(other), 'NO_SUCH_CLIENT');
  t.is(CLIENT[1], STORE);
});
