// Pace: slow
/** How many requests backups to a bucket and restores from it take. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { ServedLab } from '../helpers/bucket-lab.js';
import { backupsRunHere, rest } from '../helpers/commands.js';
import { dir, file, makeTree, noise } from '../helpers/tree.js';
import { type S3Record } from '../support/s3-server.js';

backupsRunHere();

const MIB = 1 << 20;

function shown(requested: readonly S3Record[]): string {
  return requested
    .map(({ method, key, headers }) => `${method} ${key} ${headers.range ?? ''}`)
    .join('\n');
}

function packsIn(requested: readonly S3Record[], method: string): S3Record[] {
  return requested.filter((one) => one.method === method && one.key.includes('/packs/'));
}

function bytesOf({ headers }: S3Record): number {
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '') ?? [];
  return Number(to) - Number(from) + 1;
}

test('a restore fetches each byte once, and neighbours together', async (t) => {
  const lab = await ServedLab.start(t);
  const files = Array.from({ length: 100 }, (_, n) => file(`f${n}`, noise(n, 200_000)));
  makeTree(lab.source, [dir('a', files.slice(0, 50)), dir('b', files.slice(50))]);
  await lab.backUp('one', ['--create']);
  await lab.sets('two');
  lab.requested();
  t.deepEqual(await lab.restored('two'), []);
  const requested = lab.requested();
  const gets = packsIn(requested, 'GET');
  // 20 MB in ranges of up to 4 MiB. On a busy machine, jobs come in another order.
  t.true(gets.length <= 16, shown(requested));
  const bytes = gets.reduce((sum, one) => sum + bytesOf(one), 0);
  t.true(bytes <= 20_000_000 + MIB, shown(requested));
  // The newest commits, and the journal, which gets a record of the restore.
  t.is(requested.filter(({ key }) => key === '').length, 2, shown(requested));
  t.is(requested.filter(({ method }) => method === 'PUT').length, 1, shown(requested));
});

test('a restore in place of files that are there already fetches nothing of them', async (t) => {
  const lab = await ServedLab.start(t);
  const files = Array.from({ length: 40 }, (_, n) => file(`f${n}`, noise(n, 100_000)));
  makeTree(lab.source, files);
  await lab.backUp('one', ['--create']);
  fs.writeFileSync(path.join(lab.source, 'f7'), 'changed since');
  await lab.sets('two');
  lab.requested();
  const args = [lab.source, '-O', '-o', lab.home];
  const { status, stderr } = await lab.run('two', 'regenerate', args);
  t.is(status, 0, stderr);
  t.true(fs.readFileSync(path.join(lab.source, 'f7')).equals(noise(7, 100_000)));
  const requested = lab.requested();
  // The record with f7 is needed of 4 MB, and joined reads fetch some of what follows.
  const bytes = packsIn(requested, 'GET').reduce((sum, one) => sum + bytesOf(one), 0);
  t.true(bytes <= 2 * MIB, shown(requested));
});

test('one file of a bucket is fetched in few requests, and almost alone', async (t) => {
  const lab = await ServedLab.start(t);
  const files = Array.from({ length: 20 }, (_, n) => file(`f${n}`, noise(n, 3 * MIB)));
  makeTree(lab.source, files);
  await lab.backUp('one', ['--create']);
  await lab.sets('two');
  lab.requested();
  const { status, stderr } = await lab.run('two', 'regenerate', [
    `${lab.source}/f7`,
    '-o',
    lab.at('out'),
  ]);
  t.is(status, 0, stderr);
  const requested = lab.requested();
  const gets = packsIn(requested, 'GET');
  t.true(gets.length <= 6, shown(requested));
  t.true(gets.reduce((sum, one) => sum + bytesOf(one), 0) <= 6 * MIB, shown(requested));
});

test('a backup of young files that did not change fetches none of them', async (t) => {
  const lab = await ServedLab.backedUp(t);
  lab.requested();
  await lab.backUp('one'); // the files are younger than two seconds, so they are read again
  const requested = lab.requested();
  t.deepEqual(packsIn(requested, 'GET'), [], shown(requested));
  // The two commits of the set, and the record of the run.
  t.is(requested.filter(({ method }) => method === 'PUT').length, 3, shown(requested));
  t.deepEqual(await lab.restored('two'), []);
});

test('a large file that changed is compared with its basis in few requests', async (t) => {
  const lab = await ServedLab.start(t);
  const content = noise(1, 24 * MIB);
  makeTree(lab.source, [file('image', content)]);
  await lab.backUp('one', ['--create']);
  await rest();
  noise(2, 100_000).copy(content, 9 * MIB);
  fs.writeFileSync(path.join(lab.source, 'image'), content);
  lab.requested();
  await lab.backUp('one');
  const requested = lab.requested();
  // The basis is read for its signature, and for that of the new content.
  t.true(packsIn(requested, 'GET').length <= 20, shown(requested));
  t.deepEqual(await lab.restored('two'), []);
});
