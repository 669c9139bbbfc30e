// Pace: slow
/** Bits that the disk changes in a catalog: no backup builds on them, and undamaged rows are still read. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { exited } from '../helpers/codes.js';
import { backupsRunHere, type Outcome, run, Server, succeed } from '../helpers/commands.js';
import { blobsIn, rotBlob } from '../helpers/rot.js';
import { type Lab, lab, restoredBy } from '../helpers/lab.js';
import { addTo, differences, dir, file, look, text } from '../helpers/tree.js';

backupsRunHere();

const SECRET = 'gravel-Otter9-lamp';
const FILES = 24;
/** Offset of the flags in metadata. The bit below declares attributes, which the entry does not have. */
const FLAGS_AT = 1;
const ATTRIBUTES_BIT = 5;
/** Offset of one byte of the modification time in metadata. */
const TIME_AT = 26;

interface Rotting extends Lab {
  readonly all: readonly string[];
  backup(): Promise<Outcome>;
  restored(name: string): Promise<string[]>;
}

async function rotting(t: ExecutionContext, password?: string): Promise<Rotting> {
  const made = lab(t);
  const { source, place, at } = made;
  const files = [...Array(FILES).keys()].map((n) => file(`name-${n}`, text(n + 1, 200 + n)));
  addTo(source, dir('many', files));
  addTo(source, dir('beside', [file('other', 'other')]));
  const all = password === undefined ? place : [...place, `--password=${password}`];
  const backup = (): Promise<Outcome> => run('tardis', [...all, '--local', source]);
  await succeed('tardis', [...all, '--local', '--create', source]);
  fs.writeFileSync(path.join(source, 'later'), 'later');
  await succeed('tardis', [...all, '--local', source]);
  return {
    ...made,
    all,
    backup,
    async restored(name) {
      return restoredBy(all, source, at(name));
    },
  };
}

/** Returns the metadata of all entries of regular files. Each metadata is unique. */
function fileRows(store: string): Buffer[] {
  return blobsIn(store, 'SELECT metadata FROM entries WHERE type = 1 ORDER BY name');
}

const ROWS: Readonly<Record<string, string>> = {
  entries: "SELECT metadata FROM entries WHERE CAST(name AS TEXT) = 'name-7'",
  contents: 'SELECT digest FROM contents ORDER BY content_id DESC LIMIT 1',
  directories: "SELECT name FROM directories WHERE CAST(name AS TEXT) = 'beside'",
  'backup sets': 'SELECT CAST(name AS BLOB) FROM backup_sets ORDER BY set_number DESC LIMIT 1',
  roots: 'SELECT path FROM roots',
};

for (const [table, sql] of Object.entries(ROWS)) {
  test(`a bit that has changed in a row of ${table} is never built on: the next backup is refused, and a rebuild heals it`, async (t) => {
    const { store, source, place, backup, restored } = await rotting(t);
    rotBlob(store, blobsIn(store, sql)[0]!, 2);
    fs.writeFileSync(path.join(source, 'newest'), 'newest');
    for (let time = 0; time < 2; time += 1) {
      const refused = exited(t, 1, await backup());
      t.regex(refused.stderr, /not as written \[CATALOG_DAMAGED\]\n.*`sonic rebuild -D/);
    }
    const checked = exited(t, 3, await run('sonic', ['check', ...place]));
    t.regex(checked.stdout, /^catalog: .* not as written$/m);
    await succeed('sonic', ['rebuild', ...place]);
    t.is((await backup()).status, 0);
    t.deepEqual(await restored('back'), []);
    await succeed('sonic', ['check', ...place]);
  });
}

test('a quick rebuild gives what the catalog had before the disk changed it', async (t) => {
  const { store, place, backup, restored } = await rotting(t);
  rotBlob(store, blobsIn(store, ROWS['entries']!)[0]!, TIME_AT);
  t.is((await backup()).status, 1);
  await succeed('sonic', ['rebuild', '--quick', ...place]);
  t.deepEqual(await restored('back'), []);
});

/** Checks that each reading command names the damaged entry and the remedy, and reads everything else. */
async function readsAllElse(
  t: ExecutionContext,
  { at, source }: Rotting,
  args: readonly string[],
  lost: string,
  code: string,
): Promise<void> {
  const remedy = /`sonic rebuild -D DIR -C NAME`/;
  const back = at(`back-${args.length}`);
  const restored = exited(t, 3, await run('regenerate', [...args, '-o', back, source]));
  t.regex(restored.stderr, new RegExp(`^regenerate: tree/many/${lost}: .* \\[${code}\\]$`, 'm'));
  t.regex(restored.stderr, remedy);
  const missing = differences(look(source), look(path.join(back, 'tree')));
  t.is(missing.length, 1, missing.join('\n'));
  t.true(missing[0]!.includes(lost));

  const tar = at(`all-${args.length}.tar`);
  const archived = exited(t, 3, await run('regenerate', [...args, '--tar', tar, source]));
  t.regex(archived.stderr, new RegExp(`many/${lost}: .* \\[${code}\\]`));
  const bytes = fs.readFileSync(tar);
  t.true(bytes.includes('tree/many/name-1'));
  t.false(bytes.includes(`tree/many/${lost}`));

  const other = path.join(source, 'many', lost === 'name-3' ? 'name-4' : 'name-3');
  const beside = await run('regenerate', [...args, '--stdout', other]);
  t.is(beside.stdout, fs.readFileSync(other, 'utf8'));
  // Without encryption nothing proves the intact entry either, so the exit status is 3.
  t.is(beside.status, code === 'CATALOG_DAMAGED' ? 3 : 0, beside.stderr);
  const one = await run('regenerate', [...args, '--stdout', path.join(source, 'many', lost)]);
  t.is(one.status, 1);
  t.regex(one.stderr, new RegExp(`\\[${code}\\]`));

  const listed = exited(t, 3, await run('lstardis', [...args, path.join(source, 'many')]));
  t.is(listed.stdout.trim().split(/\s+/).length, FILES - 1);
  t.regex(listed.stderr, new RegExp(`many/${lost}: .* \\[${code}\\]`));
  t.regex(listed.stderr, remedy);

  const compared = await run('tardiff', [...args, '-b', '1', '-b', '2', source]);
  t.not(compared.status, 0);
  t.regex(compared.stdout, /\+ {2}.*later/);
}

test('of an encrypting client everything beside a damaged entry is restored, and proven', async (t) => {
  const rotten = await rotting(t, SECRET);
  const { store, all } = rotten;
  const sealed = fileRows(store);
  const row = sealed.find((one) => one.readBigUInt64LE(16) === BigInt(200 + 3))!;
  rotBlob(store, row, TIME_AT);
  await readsAllElse(t, rotten, all, 'name-3', 'NOT_AUTHENTIC');
  const server = await Server.during(t, store);
  const args = [...server.clientArgs, '-C', 'me', `--password=${SECRET}`];
  await readsAllElse(t, rotten, args, 'name-3', 'NOT_AUTHENTIC');
});

test('an entry is restored whose seal alone is damaged: that of its directory proves it', async (t) => {
  const { store, restored } = await rotting(t, SECRET);
  const [first, second] = fileRows(store);
  for (const row of [first!, second!]) rotBlob(store, row, row.indexOf('seal') + 6);
  t.deepEqual(await restored('back'), []);
});

test('a directory that is not as sealed is named, and everything beside it is restored', async (t) => {
  const { store, all, at, source } = await rotting(t, SECRET);
  // Damages the seals of all entries in the directory, so that no seal shows which of them are genuine.
  for (const row of fileRows(store)) {
    if (Number(row.readBigUInt64LE(16)) < 200) continue;
    rotBlob(store, row, row.indexOf('seal') + 6);
  }
  const restored = exited(t, 3, await run('regenerate', [...all, '-o', at('back'), source]));
  t.regex(restored.stderr, /^regenerate: tree\/many: .* \[NOT_AUTHENTIC\]$/m);
  t.is(fs.readFileSync(at('back', 'tree', 'beside', 'other'), 'utf8'), 'other');
  t.is(fs.readFileSync(at('back', 'tree', 'later'), 'utf8'), 'later');
});

test('of a client that does not encrypt everything beside a damaged row is restored', async (t) => {
  const rotten = await rotting(t);
  const { store, place } = rotten;
  rotBlob(store, blobsIn(store, ROWS['entries']!)[0]!, FLAGS_AT, ATTRIBUTES_BIT);
  await readsAllElse(t, rotten, place, 'name-7', 'CATALOG_DAMAGED');
});

test('readers of a client that does not encrypt warn of pages that changed, and end with 3', async (t) => {
  const { place, source, store, at } = lab(t);
  addTo(
    source,
    dir(
      'many',
      [...Array(300).keys()].map((n) => file(`file ${n}`, `content ${n}`)),
    ),
  );
  await succeed('tardis', [...place, '--local', '--create', source]);
  const catalog = path.join(store, 'me', 'tardis.db');
  const bytes = fs.readFileSync(catalog);
  const name = bytes.indexOf('file 123');
  t.true(name > 0);
  bytes[name + 7]! ^= 1; // "file 122" twice: SQLite itself finds no error
  fs.writeFileSync(catalog, bytes);
  for (const [tool, words] of [
    ['regenerate', ['-o', at('out'), source]],
    ['lstardis', [path.join(source, 'many')]],
    ['sonic', ['list']],
    ['sonic', ['info']],
    ['sonic', ['files']],
    ['sonic', ['stats']],
    ['tardiff', ['1', '1']],
  ] as const) {
    const partly = tool === 'tardiff' ? 2 : 3;
    const outcome = exited(t, partly, await run(tool, [...words, ...place]));
    t.regex(outcome.stderr, /a page of the catalog changed on the disk.*\[CATALOG_DAMAGED\]/);
  }
});
