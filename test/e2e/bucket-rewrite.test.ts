// Pace: long
/** A client in a bucket is rewritten with new keys, or without some paths, while other machines use it. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { CLIENT, ServedLab } from '../helpers/bucket-lab.js';
import { codeIn, exited } from '../helpers/codes.js';
import { backupsRunHere, poolsStayAway } from '../helpers/commands.js';
import { readersAgree } from '../helpers/second-reader.js';
import { look, noise } from '../helpers/tree.js';

backupsRunHere();
poolsStayAway();

const SECRET = 'gravel-Otter9-lamp';
const NEXT = 'gravel-Otter9-lamp-2';

/** Backs up two sets, the second of which lacks a file of the first. */
async function withSets(lab: ServedLab, args: readonly string[] = []): Promise<void> {
  lab.grow();
  fs.writeFileSync(path.join(lab.source, 'passing'), noise('passing', 1_500_000));
  await lab.backUp('one', ['--create', ...args]);
  lab.change(1);
  await lab.backUp('one', args);
}

/** Returns the names of the objects that an earlier generation still has, and that are more than the name of the next. */
function former({ server }: ServedLab, generation = 'g1'): string[] {
  const place = `/c/me/${generation}/`;
  const { objects } = server;
  return objects
    .keys()
    .filter((name) => name.includes(place))
    .filter((name) => !/\/log\/\d{10}$/.test(name) || objects.bytesOf(name)!.length > 96);
}

async function isSound(
  t: ExecutionContext,
  lab: ServedLab,
  machine: string,
  args: readonly string[],
) {
  exited(t, 0, await lab.run(machine, 'sonic', ['check', '--read-data', ...args]));
  const folder = lab.at(`objects of ${machine}`);
  lab.server.objects.writeTo(folder, 'all/');
  await readersAgree(t, lab.source, [...CLIENT, ...args], { folder, env: lab.on(machine) });
}

test('a client in a bucket gets new keys, and every machine goes on with them', async (t) => {
  const lab = await ServedLab.start(t);
  const [old, next] = [lab.password(SECRET), lab.password(NEXT)];
  await withSets(lab, [...old, '--crypt']);
  t.is((await lab.sets('two', old)).length, 2);
  const fresh = lab.password(NEXT, '--newpassword-file');
  const reported = await lab.succeed('one', 'sonic', ['rekey', ...old, ...fresh, '--yes']);
  t.regex(reported, /has new keys: 2 sets/);
  t.deepEqual(former(lab), []);
  for (const machine of ['one', 'two', 'three']) {
    const refused = await lab.run(machine, 'lstardis', old);
    t.is(codeIn(refused), 'LOGIN_FAILED', machine);
    t.deepEqual(await lab.restored(machine, [...next, '--trust-store']), [], machine);
  }
  lab.change(2);
  await lab.backUp('two', next);
  t.is((await lab.sets('one', next)).length, 3);
  await lab.succeed('three', 'sonic', ['delete', '1', '--yes', ...next]);
  await isSound(t, lab, 'four', next);
  await lab.succeed('two', 'sonic', ['rekey', ...next, '--yes']);
  t.deepEqual(await lab.restored('five', next), []);
  t.deepEqual(await lab.restored('one', [...next, '--trust-store']), []);
});

test('a client in a bucket is encrypted, and nothing readable remains', async (t) => {
  const lab = await ServedLab.start(t);
  await withSets(lab);
  await lab.sets('two');
  const given = lab.password(SECRET);
  await lab.succeed('one', 'sonic', ['encrypt', ...given, '--yes']);
  const { objects } = lab.server;
  for (const name of objects.keys()) {
    const bytes = objects.bytesOf(name)!;
    t.false(bytes.includes('letter') || bytes.includes('new-1'), `a name is in ${name}`);
  }
  t.deepEqual(former(lab), []);
  t.deepEqual(await lab.restored('three', given), []);
  t.is((await lab.sets('two', given)).length, 2);
  lab.change(2);
  await lab.backUp('two', given);
  await isSound(t, lab, 'one', given);
});

test('paths are forgotten in a bucket, in a client that encrypts and in one that does not', async (t) => {
  for (const given of [[], [SECRET]] as const) {
    const lab = await ServedLab.start(t);
    const args = given.flatMap((password) => lab.password(password));
    await withSets(lab, given.length === 0 ? [] : [...args, '--crypt']);
    for (const machine of ['two', 'four']) await lab.sets(machine, args);
    const passing = path.join(lab.source, 'passing');
    await lab.succeed('two', 'sonic', ['forget-path', passing, '--yes', ...args]);
    await lab.succeed('one', 'sonic', ['forget-path', '--finish', '--now', '--yes', ...args]);
    t.deepEqual(former(lab), []);
    const wanted = new Map([...look(lab.source)].filter(([name]) => name !== 'passing'));
    for (const machine of ['one', 'two', 'three']) {
      t.deepEqual(await lab.restored(machine, [...args, '--trust-store'], wanted), []);
    }
    const bytes = lab.server.objects.keys().map((name) => lab.server.objects.bytesOf(name)!);
    t.false(bytes.some((one) => one.includes(noise('passing', 1_500_000).subarray(0, 64))));
    lab.change(2);
    const words = ['--local', ...args, '--trust-store', lab.source];
    const first = await lab.run('four', 'tardis', words);
    // It has the old keys of a client that encrypts until it has followed the rewrite.
    t.is(given.length === 0 ? undefined : 'CLIENT_MOVED', codeIn(first), first.stderr);
    await lab.succeed('four', 'tardis', words);
    t.deepEqual(await lab.restored('five', args), []);
  }
});
