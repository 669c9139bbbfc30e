/** The object that makes a client in a bucket is missing or damaged. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { ServedLab } from '../helpers/bucket-lab.js';
import { codeIn } from '../helpers/codes.js';
import { backupsRunHere, poolsStayAway } from '../helpers/commands.js';

backupsRunHere();
poolsStayAway();

const OBJECT = 'all/c/me/client.json';

/** Returns the words that give a password. */
function secretOf(lab: ServedLab, password: string): string[] {
  const file = lab.at(`${password}.secret`);
  fs.writeFileSync(file, password, { mode: 0o600 });
  return ['--password-file', file];
}

/** Returns the folder of the client in the cache of a machine. */
function cacheOf(lab: ServedLab, machine: string): string {
  const caches = lab.at(`${machine}-cache/tardis/buckets`);
  return path.join(caches, fs.readdirSync(caches)[0]!, 'me');
}

for (const rest of ['the log', 'a key record', 'a later generation'] as const) {
  test(`no client is created in the place of one that has lost its object, but not ${rest}`, async (t) => {
    const lab = await ServedLab.start(t);
    lab.grow();
    const given = secretOf(lab, 'gravel-Otter9-lamp');
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

    const others = secretOf(lab, 'kelp-Sundry7-mulch');
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
    t.true(fs.existsSync(path.join(cacheOf(lab, 'one'), 'tardis.db')), 'the cache is kept');
    objects.versions.set(OBJECT, object);
    t.is(codeIn(await lab.run('two', 'sonic', ['create', ...others])), 'CLIENT_EXISTS');
  });
}

test('a client of which a bucket has nothing left is created again, and its cache is discarded', async (t) => {
  const lab = await ServedLab.start(t);
  lab.grow();
  await lab.backUp('one', ['--create']);
  for (const key of lab.server.objects.keys()) lab.server.objects.versions.delete(key);
  t.is(codeIn(await lab.run('one', 'lstardis', [])), 'NO_SUCH_CLIENT');
  await lab.backUp('one', ['--create']);
  t.is((await lab.sets('two')).length, 1);
});
