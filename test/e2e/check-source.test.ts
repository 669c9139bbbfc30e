// Pace: slow
/** `sonic check --against-source`: reads the source again, and compares it with the newest set. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { changeCatalog } from '../helpers/changed-catalog.js';
import { exited } from '../helpers/codes.js';
import {
  backup,
  backupsRunHere,
  jsonLines,
  rest,
  run,
  Server,
  succeed,
} from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';

backupsRunHere();

interface Line {
  readonly finding: string;
  readonly what?: string;
  readonly name?: string;
  readonly aspects?: readonly string[];
  readonly isClean?: boolean;
  readonly source?: { readonly set: number; readonly files: number; readonly changed: number };
}

function found(stdout: string, what: string): string[] {
  return jsonLines<Line>(stdout)
    .filter((line) => line.finding === 'source' && line.what === what)
    .map(({ name }) => path.basename(name ?? ''));
}

test('a check against the source names what differs from the newest set and has not changed since', async (t) => {
  const { place, source, store } = lab(t);
  for (const name of ['changed', 'gone', 'unlike', 'left.out']) {
    fs.writeFileSync(path.join(source, name), `${name}, of eighteen`.padEnd(30));
  }
  await rest();
  await backup([...place, '--local', '--create', '-x', '*.out', source]);
  const checked = ['check', '--against-source', ...place];
  const clean = await succeed('sonic', checked);
  t.regex(clean, /^not in the set: .*left\.out$/m);
  t.regex(clean, /The set matches the source, except for what has changed since\.\n$/);

  fs.writeFileSync(path.join(source, 'changed'), 'new');
  fs.writeFileSync(path.join(source, 'new'), 'new');
  fs.rmSync(path.join(source, 'gone'));
  changeCatalog(store, (catalog) => {
    const content = `SELECT content_id FROM entries WHERE name = CAST('changed' AS BLOB)`;
    const set = `UPDATE entries SET content_id = (${content}) WHERE name = CAST('unlike' AS BLOB)`;
    t.is(catalog.prepare(set).run().changes, 1);
  });
  const wrong = exited(t, 3, await run('sonic', [...checked, '--json']));
  t.deepEqual(found(wrong.stdout, 'differs'), ['unlike']);
  t.deepEqual(found(wrong.stdout, 'unsaved'), ['left.out']);
  t.like(jsonLines<Line>(wrong.stdout).at(-1), {
    finding: 'end',
    isClean: false,
    source: { changed: 3 },
  });
  const text = await run('sonic', checked);
  t.regex(text.stdout, /^differs: .*unlike \(content\), although its times are the same$/m);

  fs.renameSync(source, `${source} away`);
  const away = exited(t, 3, await run('sonic', [...checked, '--json']));
  t.deepEqual(found(away.stdout, 'unread'), [path.basename(source)]);
});

test('a check against a source of which a root is missing claims nothing of all', async (t) => {
  const { place, source, at } = lab(t);
  const other = at('other');
  fs.mkdirSync(other);
  fs.writeFileSync(path.join(other, 'file'), 'text');
  await rest();
  await succeed('tardis', [...place, '--local', '--create', source, other]);
  fs.renameSync(other, at('away'));
  const { stdout } = exited(t, 3, await run('sonic', ['check', '--against-source', ...place]));
  t.regex(stdout, /1 entry could not be compared\./);
  t.notRegex(stdout, /The set matches the source/);
  t.regex(stdout, /Nothing that was compared differs from the source\.\n$/);
});

test('a check against a source without any file as old as the set reports that it compared nothing', async (t) => {
  const { place, source, at } = lab(t);
  await succeed('tardis', [...place, '--local', '--create', source]);
  fs.renameSync(source, at('moved'));
  fs.cpSync(at('moved'), source, { recursive: true, preserveTimestamps: true });
  const copied = exited(t, 3, await run('sonic', ['check', '--against-source', ...place]));
  t.regex(copied.stdout, /^Read 0 files .* [2-9] entries changed since\.$/m);
  t.regex(copied.stdout, /Nothing was compared/);
});

test('a check against the source compares with a server, and with what is encrypted', async (t) => {
  const { place, source, store, written } = lab(t);
  const password = written('password', 'word of pass\n');
  const secret = [...place, '--password-file', password];
  await rest();
  await succeed('tardis', [...secret, '--local', '--create', source]);
  const here = await succeed('sonic', ['check', '--against-source', ...secret]);
  t.regex(here, /^Read 2 files of the source again/m);
  const server = await Server.during(t, store);
  const there = ['-C', 'me', '--password-file', password, ...server.clientArgs];
  const remote = await succeed('sonic', ['check', '--against-source', ...there]);
  t.regex(remote, /^Read 2 files of the source again/m);
});
