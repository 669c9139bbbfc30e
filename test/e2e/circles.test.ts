// Pace: slow
/**
 * A directory that a store shows inside itself: no command loops forever, each names the directory, and everything
 * else is restored.
 */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { changeCatalog } from '../helpers/changed-catalog.js';
import { backup, backupsRunHere, run, type Tool, poolsStayAway } from '../helpers/commands.js';
import { dir, file } from '../helpers/tree.js';
import { lab } from '../helpers/lab.js';

backupsRunHere();
poolsStayAway();

const PATIENCE_MS = 60_000;

test('a directory within itself is refused by all that reads a set', async (t) => {
  const { at, place, source, store } = lab(t, [
    dir('outer', [dir('inner', [dir('circle', [file('lost', 'lost')]), file('kept', 'kept')])]),
    file('beside', 'beside'),
  ]);
  await backup([...place, '--local', '--create', source]);
  fs.writeFileSync(path.join(source, 'beside'), 'beside, and changed');
  await backup([...place, '--local', source]);
  changeCatalog(store, (catalog) => {
    const { changes } = catalog
      .prepare(
        `UPDATE entries SET child_id = (SELECT child_id FROM entries WHERE name = CAST('outer' AS BLOB))
         WHERE name = CAST('circle' AS BLOB)`,
      )
      .run();
    t.is(changes, 1);
  });
  const out = at('out');
  const tar = at('all.tar');
  const commands: readonly (readonly [Tool, string[], number | undefined])[] = [
    ['regenerate', [...place, '-o', out, source], 3],
    ['regenerate', [...place, '--tar', tar, source], 3],
    ['lstardis', [...place, '--recurse', source], 3],
    ['tardiff', [...place, '-r', '--list', '-b', '1', '-b', '2', source], 2],
    ['lstardis', [...place, '--find', '*kept*'], undefined],
    ['sonic', ['files', ...place, '2'], undefined],
    ['sonic', ['check', ...place], 3],
    ['sonic', ['forget-path', ...place, '--preview', path.join(source, 'outer')], undefined],
  ];
  for (const [tool, words, status] of commands) {
    const reported = await run(tool, words, { timeoutMs: PATIENCE_MS });
    const shown = `${tool} ${words.join(' ')}: ${reported.status}\n${reported.stderr}`;
    t.notRegex(reported.stderr, /INTERNAL|USAGE/, shown);
    if (status === undefined) continue;
    t.is(reported.status, status, shown);
    if (tool !== 'sonic') t.regex(reported.stderr, /CATALOG_DAMAGED/, shown);
  }
  t.is(fs.readFileSync(path.join(out, 'tree/outer/inner/kept'), 'utf8'), 'kept');
  t.is(fs.readFileSync(path.join(out, 'tree/beside'), 'utf8'), 'beside, and changed');
  t.false(fs.existsSync(path.join(out, 'tree/outer/inner/circle/inner')));
});
