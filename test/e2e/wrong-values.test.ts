// Pace: slow
/**
 * Catalogs that SQLite can read, with values that no writer stores: they are reported as damage, and a rebuild repairs
 * them.
 */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { changeCatalog } from '../helpers/changed-catalog.js';
import { exited } from '../helpers/codes.js';
import { backup, backupsRunHere, run, succeed } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { dir, file, text } from '../helpers/tree.js';

backupsRunHere();

/**
 * A change of the catalog, the name that the report must contain, and the commands that report it: a listing, a check
 * of all columns, or both.
 */
const WRONG: readonly (readonly [
  sql: string,
  named: string,
  shownBy: 'both' | 'list' | 'check',
])[] = [
  [`UPDATE roots SET path = '/text'`, 'roots.path', 'both'],
  ['UPDATE entries SET metadata = 7', 'entries.metadata', 'both'],
  [`UPDATE entries SET metadata = x'0102'`, 'entries.metadata', 'list'],
  [`UPDATE directories SET parent_id = 'none'`, 'directories.parent_id', 'check'],
];

test('a value of a wrong type in a catalog is damage that is named, and a rebuild mends it', async (t) => {
  const { store, source, place } = lab(t, [
    dir('a', [file('one', text(1, 500))]),
    file('two', text(2, 500)),
  ]);
  await backup([...place, '--local', '--create', source]);
  for (const [sql, named, shownBy] of WRONG) {
    changeCatalog(store, (catalog) => void catalog.exec(sql));
    if (shownBy !== 'check') {
      const listed = await run('lstardis', [...place, '-l', path.join(source, 'a')]);
      t.is(listed.status, 1, sql);
      t.regex(listed.stderr, /CATALOG_DAMAGED/, sql);
      t.true(listed.stderr.includes(named), `${sql}: ${listed.stderr}`);
    }
    if (shownBy !== 'list') {
      const checked = await run('sonic', ['check', ...place]);
      t.is(checked.status, 3, sql);
      t.true(`${checked.stdout}${checked.stderr}`.includes(named), sql);
    }
    await succeed('sonic', ['rebuild', ...place]);
    await succeed('lstardis', [...place, '-l', path.join(source, 'a')]);
    await succeed('sonic', ['check', ...place]);
  }
});

test('a catalog in a format of SQLite that does not exist is damaged', async (t) => {
  const { store, source, place } = lab(t, [file('one', text(1, 500))]);
  await backup([...place, '--local', '--create', source]);
  const catalog = path.join(store, 'me', 'tardis.db');
  const bytes = fs.readFileSync(catalog);
  bytes.writeUInt32BE(9, 44); // the schema format number
  fs.writeFileSync(catalog, bytes);
  t.regex(exited(t, 1, await run('lstardis', place)).stderr, /CATALOG_DAMAGED/);
});
