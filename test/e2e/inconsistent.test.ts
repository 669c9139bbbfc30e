// Pace: slow
/** Files whose data does not match their size although they do not change, as in /proc and /sys. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import {
  backup,
  type BackupReport,
  backupsRunHere,
  rest,
  run,
  succeed,
} from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { dir, file, noise, sparse } from '../helpers/tree.js';

backupsRunHere();

/** Directories with files of size 0, and of one page; each file gives a few bytes. */
const FOLDERS = ['/proc/sys/kernel/keys', '/sys/kernel/mm/transparent_hugepage/khugepaged'];

test('a file that gives other bytes than its size is saved with what it gives, and is an error', async (t) => {
  const folders = FOLDERS.filter((folder) => fs.existsSync(folder));
  t.true(folders.length > 0);
  const { at, place } = lab(t);
  const saved = await run('tardis', [...place, '--local', '--create', '--json', ...folders]);
  t.is(saved.status, 3, saved.stderr);
  const { progress, failed } = JSON.parse(saved.stdout) as BackupReport & {
    failed: { name: string; what: string; reason: string }[];
  };
  const files = folders.flatMap((folder) =>
    fs.readdirSync(folder).map((name) => path.join(folder, name)),
  );
  const sizes = files.map((name) => fs.statSync(name).size);
  const contents = files.map((name) => fs.readFileSync(name));
  t.is(progress.inconsistent, files.length);
  t.is(progress.changed, 0);
  const names: string[] = failed.map((one) => one.name ?? '');
  t.deepEqual(names.sort(), files.toSorted());
  for (const { name, what, reason } of failed) {
    const index = files.indexOf(name);
    t.is(what, 'inconsistent');
    t.is(reason, `gave ${contents[index]!.length} bytes, its size is ${sizes[index]}`);
  }
  const sum = (numbers: number[]): number => numbers.reduce((all, one) => all + one, 0);
  t.is(progress.readBytes + progress.missingBytes, sum(sizes));
  const out = at('out');
  const outcome = await run('regenerate', [...place, '-o', out, ...folders]);
  t.is(outcome.status, 3, outcome.stderr);
  t.regex(outcome.stderr, /read other bytes than its size promised: gave \d+ bytes/);
  for (const [index, name] of files.entries()) {
    const restored = path.join(out, path.basename(path.dirname(name)), path.basename(name));
    t.true(fs.readFileSync(restored).equals(contents[index]!), name);
  }
});

test('the end of a run has the sizes of files beside the bytes that were read, where they differ', async (t) => {
  const data = noise(1, 4096);
  const { source, place: own } = lab(t, [
    dir('plain', [file('a', data), file('b', '')]),
    dir('holes', [sparse('small', 1 << 19, [[0, data]]), sparse('large', 8 << 20, [[0, data]])]),
  ]);
  const place = [...own, '--local'];
  await rest();
  const plain = await succeed('tardis', [...place, '--create', path.join(source, 'plain')]);
  t.notRegex(plain, /The files that were read/);
  const { progress } = await backup([...place, source]);
  t.is(progress.readBytes + progress.holeBytes, 4096 + (1 << 19) + (8 << 20));
  fs.appendFileSync(path.join(source, 'holes', 'small'), 'more');
  const holes = await succeed('tardis', [...place, source]);
  t.regex(
    holes,
    /^The files that were read have a total size of 5\d\d kB, 5\d\d kB of them in holes\.$/m,
  );
});
