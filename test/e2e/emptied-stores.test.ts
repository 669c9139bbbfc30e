// Pace: slow
/** Client directories with missing or replaced parts: each error names the part and the remedy. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { exited } from '../helpers/codes.js';
import { backupsRunHere, run, succeed } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';

backupsRunHere();

const SECRET = 'gravel-Otter9-lamp';
const PARTLY = 3;

function remove(store: string, isGone: (name: string) => boolean): void {
  const home = path.join(store, 'me');
  for (const name of fs.readdirSync(home).filter(isGone)) {
    fs.rmSync(path.join(home, name), { recursive: true });
  }
}

const isCatalog = (name: string): boolean => name.startsWith('tardis.db');

test('a client that has lost catalog and packs is no client without backups', async (t) => {
  const { place, source, store } = lab(t);
  await succeed('sonic', ['create', ...place]);
  const fresh = await succeed('sonic', ['check', ...place]);
  t.regex(fresh, /There is no backup: none was made yet/);
  await succeed('tardis', [...place, '--local', source]);
  const packs = path.join(store, 'me', 'packs');
  for (const lose of [
    () => {
      fs.rmSync(packs, { recursive: true });
      fs.mkdirSync(packs);
    },
    () => fs.rmSync(packs, { recursive: true }),
  ]) {
    lose();
    remove(store, isCatalog);
    const checked = exited(t, PARTLY, await run('sonic', ['check', ...place]));
    t.regex(checked.stdout, /catalog: the catalog .* is missing/);
    for (const [tool, ...words] of [['lstardis'], ['sonic', 'list'], ['sonic', 'stats']] as const) {
      const read = exited(t, 1, await run(tool, [...words, ...place]));
      t.regex(read.stderr, /is missing \[CATALOG_DAMAGED\]/);
    }
    const rebuilt = exited(t, PARTLY, await run('sonic', ['rebuild', ...place]));
    t.regex(rebuilt.stdout, /No packs are left/);
    await succeed('tardis', [...place, '--local', source]);
    await succeed('sonic', ['check', '--read-data', ...place]);
  }
});

test('what stands in the place of packs or of a cache is named, with what to do', async (t) => {
  const { place, source, store, at } = lab(t);
  await succeed('tardis', [...place, '--local', '--create', source]);
  const home = path.join(store, 'me');
  await succeed('sonic', ['check', '--read-data', ...place]);
  fs.rmSync(path.join(home, 'checked.db'));
  fs.mkdirSync(path.join(home, 'checked.db'));
  await succeed('sonic', ['check', '--read-data', ...place]);
  fs.rmSync(path.join(home, 'packs'), { recursive: true });
  fs.writeFileSync(path.join(home, 'packs'), 'something else');
  for (const [tool, ...words] of [
    ['sonic', 'check'],
    ['sonic', 'rebuild'],
    ['sonic', 'stats'],
    ['regenerate', '-o', at('out'), source],
    ['tardis', '--local', source],
  ] as const) {
    const outcome = await run(tool, [...words, ...place]);
    t.is(outcome.status, 1, `${tool} ${words[0]}: ${outcome.stdout}`);
    t.regex(outcome.stderr, /packs is no directory \[PACKS_DAMAGED\]\n.*sonic rebuild/);
  }
  fs.renameSync(path.join(home, 'packs'), at('found there'));
  t.is((await run('sonic', ['rebuild', ...place])).status, PARTLY);
  await succeed('tardis', [...place, '--local', source]);
  await succeed('regenerate', ['-o', at('out'), source, ...place]);
});

test('advice after damage can be followed: keys with no older record, marks that a damaged catalog cannot take', async (t) => {
  const { place, source, store, written } = lab(t);
  const password = ['--password-file', written('password', `${SECRET}\n`)];
  await succeed('tardis', [...place, ...password, '--local', '--create', source]);
  for (const folder of ['keys', 'packs/keys']) {
    fs.truncateSync(path.join(store, 'me', folder, '00000001.key'), 100);
  }
  const read = await run('lstardis', [...place, ...password]);
  t.regex(
    read.stderr,
    /\[KEYS_DAMAGED\]\n.*sonic keys --insert.*Only if keys\/ has a record with a lower/,
  );
});

test('a check that cannot mark damage reports what has to come first', async (t) => {
  const { place, source, store } = lab(t);
  await succeed('tardis', [...place, '--local', '--create', source]);
  const home = path.join(store, 'me');
  const [pack] = fs.readdirSync(path.join(home, 'packs')).filter((name) => name.endsWith('.pack'));
  fs.truncateSync(path.join(home, 'packs', pack!), 200);
  const checked = exited(t, PARTLY, await run('sonic', ['check', ...place]));
  t.regex(
    checked.stdout,
    /could not be marked \(CATALOG_DAMAGED.*Run `sonic rebuild .*Then run the check again/,
  );
});
