// Pace: slow
/**
 * Changes that a hostile server, or a thief who returns, may make to the store of an encrypting client: none
 * may be accepted as the client's own. Each test makes one change, with all the means that a server has.
 */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { changeCatalog } from '../helpers/changed-catalog.js';
import { exited } from '../helpers/codes.js';
import { backup, backupsRunHere, run, Server, succeed } from '../helpers/commands.js';
import { makeScratch, removeScratch } from '../helpers/scratch.js';
import {
  differences,
  dir,
  file,
  look,
  makeTree,
  noise,
  type Snapshot,
  symlink,
  text,
} from '../helpers/tree.js';

backupsRunHere();

const home = makeScratch();
const source = path.join(home, 'tree');
const secret = path.join(home, 'password');
const store = path.join(home, 'store');
const olderStore = path.join(home, 'older');
/** Returns an environment that remembers no client; another test covers remembered state. */
function forgetful(): Record<string, string> {
  copies += 1;
  return { XDG_STATE_HOME: path.join(home, `state ${copies}`) };
}
const remembering = { XDG_STATE_HOME: path.join(home, 'other state') };

function place(of: string): string[] {
  return ['-D', of, '-C', 'me', '-F', secret];
}

test.before(async () => {
  fs.writeFileSync(secret, 'a password of the tests\n');
  makeTree(source, [
    dir('a', [
      file('one', text(1, 5000)),
      file('two', text(2, 5000)),
      dir('inner', [file('deep', 'x')]),
    ]),
    dir('b', [file('three', text(3, 5000)), symlink('link', 'somewhere'), dir('inner', [])]),
    file('large', noise(4, 3 << 20)),
    file('parts', Buffer.concat([noise(5, 1 << 20), Buffer.alloc(64 << 20)])),
  ]);
  const env = remembering;
  await backup([...place(store), '--local', '--create', source], { env });
  fs.cpSync(store, olderStore, { recursive: true });
  fs.writeFileSync(path.join(source, 'a', 'one'), text(6, 5000));
  fs.rmSync(path.join(source, 'a', 'two'));
  fs.writeFileSync(path.join(source, 'a', 'new'), 'new');
  await backup([...place(store), '--local', source], { env });
  await backup([...place(store), '--local', source], { env });
  right = look(source);
});
test.after.always(() => removeScratch(home));

/** The tree, which no test changes. */
let right: Snapshot;
let copies = 0;
function copied(): string {
  copies += 1;
  const copy = path.join(home, `copy ${copies}`);
  fs.cpSync(store, copy, { recursive: true });
  return copy;
}

/** Restores the newest set of a store into a new directory, without remembered state. */
async function restored(
  of: string,
): Promise<{ status: number | null; reported: string; out: string }> {
  const out = `${of} out`;
  const args = [...place(of), '--json', '-o', out, source];
  const { status, stdout, stderr } = await run('regenerate', args, { env: forgetful() });
  return { status, reported: `${stdout}${stderr}`, out: path.join(out, 'tree') };
}

test('as it is, the store is believed', async (t) => {
  const { status, reported, out } = await restored(copied());
  t.is(status, 0, reported);
  t.deepEqual(differences(right, look(out)), []);
});

/** SQL scripts that make a change. All scripts of a change are tried, since the server may choose the ids. */
const CHANGES: readonly [what: string, ...scripts: string[]][] = [
  [
    'two files have each other’s contents',
    `UPDATE entries SET content_id = (SELECT max(content_id) FROM contents WHERE size_bytes = 5000)
     WHERE content_id = (SELECT min(content_id) FROM contents WHERE size_bytes = 5000) AND last_set IS NULL`,
    `UPDATE entries SET content_id = (SELECT max(content_id) FROM contents WHERE size_bytes = 5000)
     WHERE type = 1 AND size_bytes = 5000 AND last_set IS NULL`,
  ],
  [
    'a content has another digest',
    `UPDATE contents SET digest = (SELECT digest FROM contents WHERE size_bytes = 3145728)
     WHERE size_bytes = 5000`,
  ],
  [
    'a content is in another record',
    `UPDATE contents SET offset = offset + 5000 WHERE size_bytes = 5000 AND offset = 0`,
    `UPDATE contents SET offset = 0 WHERE size_bytes = 5000`,
  ],
  [
    'a file has other permissions',
    `UPDATE entries SET metadata = CAST(substr(metadata, 1, 2) || x'ff0f' || substr(metadata, 5) AS BLOB)
     WHERE type = 1 AND size_bytes = 3145728`,
  ],
  [
    'a file has another owner',
    `UPDATE entries SET metadata = CAST(substr(metadata, 1, 4) || x'39300000' || substr(metadata, 9) AS BLOB)
     WHERE type = 1 AND size_bytes = 3145728`,
  ],
  [
    'a directory has other permissions',
    `UPDATE entries SET metadata = CAST(substr(metadata, 1, 2) || x'ff01' || substr(metadata, 5) AS BLOB)
     WHERE type = 2`,
  ],
  ['a file has no content', `UPDATE entries SET content_id = NULL WHERE type = 1`],
  ['a directory has nothing in it', `UPDATE entries SET child_id = NULL WHERE directory_id > 0`],
  [
    'one directory is another one too',
    `UPDATE entries SET child_id = 2 WHERE child_id IN (3, 4)`,
    `UPDATE entries SET child_id = 3 WHERE child_id IN (2, 4)`,
    `UPDATE entries SET child_id = 1 WHERE child_id = 3`,
  ],
  ['an entry is gone', `DELETE FROM entries WHERE size_bytes = 3145728`],
  ['an empty directory is gone', `DELETE FROM entries WHERE type = 2 AND directory_id > 2`],
  [
    'an older version is back',
    `DELETE FROM entries WHERE first_set = 2 AND type = 1; UPDATE entries SET last_set = NULL`,
  ],
  ['what was removed is back', `UPDATE entries SET last_set = NULL WHERE last_set = 1`],
  [
    'an entry is in another directory',
    `UPDATE OR REPLACE entries SET directory_id = (SELECT max(directory_id) FROM directories)
     WHERE type = 1 AND size_bytes = 5000`,
  ],
  [
    'two names are exchanged',
    `UPDATE OR REPLACE entries SET name = (SELECT name FROM entries WHERE size_bytes = 68157440)
     WHERE size_bytes = 3145728`,
  ],
  [
    'two directories are exchanged',
    `UPDATE entries SET child_id = 5 - child_id WHERE child_id IN (2, 3)`,
    `UPDATE entries SET child_id = 7 - child_id WHERE child_id IN (3, 4)`,
    `UPDATE entries SET child_id = 9 - child_id WHERE child_id IN (4, 5)`,
  ],
  ['a set has another name', `UPDATE backup_sets SET name = 'Backup-3-2020-01-01T00-00-00'`],
  ['a set has another time', `UPDATE backup_sets SET client_time_ms = client_time_ms - 1000`],
  [
    'a set has the seal of another one',
    `UPDATE set_seals SET seal = (SELECT seal FROM set_seals WHERE set_number = 1)`,
  ],
  ['a set has lost its seal', `DELETE FROM set_seals`],
  [
    'a directory has lost its seal',
    `DELETE FROM directory_seals WHERE directory_id = (SELECT max(directory_id) FROM directory_seals)`,
  ],
  [
    'a directory has the seal of before',
    `DELETE FROM directory_seals WHERE first_set = 2; UPDATE directory_seals SET last_set = NULL`,
  ],
  [
    'two directories have each other’s seals',
    `UPDATE directory_seals SET seal = (SELECT seal FROM directory_seals ORDER BY directory_id DESC LIMIT 1)`,
  ],
  [
    'a set has another root',
    `UPDATE roots SET path = CAST(x'2f' || (SELECT name FROM entries WHERE size_bytes = 3145728) AS BLOB)`,
  ],
];

for (const [what, ...scripts] of CHANGES) {
  test(`it shows when ${what}`, async (t) => {
    let shown = 0;
    for (const script of scripts) {
      const copy = copied();
      changeCatalog(copy, (catalog) => catalog.exec(script));
      const { status, reported, out } = await restored(copy);
      const found = fs.existsSync(out) ? look(out) : new Map<string, string>();
      if (status === 0) {
        t.deepEqual(differences(right, found), [], 'it changed nothing that matters');
        continue;
      }
      shown += 1;
      t.regex(
        reported,
        /NOT_AUTHENTIC|CONTENT_DAMAGED|RECORD_DAMAGED|NO_SUCH_PATH|CATALOG_DAMAGED/,
      );
      // Everything that was restored is correct; only directories may lack entries.
      for (const [name, words] of found) {
        if (!words.startsWith('directory')) t.is(right.get(name), words, name);
      }
    }
    t.true(shown > 0);
  });
}

test('a store that was put back is read with a warning, and written to only when that is trusted', async (t) => {
  const store = path.join(home, 'put back store');
  fs.cpSync(olderStore, store, { recursive: true });
  const env = forgetful();
  fs.cpSync(remembering.XDG_STATE_HOME, env['XDG_STATE_HOME']!, { recursive: true });
  const out = path.join(home, 'put back');
  const args = [...place(store), '-o', out, source];
  const missing =
    /warning: the newest set of the store is 1, .*: (set 2 is|sets 2 to \d are) missing \[STORE_ROLLED_BACK\]/;
  for (const [tool, words, status] of [
    ['regenerate', args, 3],
    ['lstardis', place(store), 3],
    ['lstardis', [...place(store), source], 3],
    ['sonic', ['list', ...place(store)], 3],
    ['tardiff', [...place(store), source], 2],
  ] as const) {
    const known = await run(tool, words, { env });
    t.regex(known.stderr, missing, tool);
    t.is(known.status, status, `${tool} ${known.stderr}`);
  }
  t.true(fs.existsSync(out));
  for (const words of [['check'], ['check', '-F', secret]]) {
    const checked = await run('sonic', [...words, '-D', store, '-C', 'me'], { env });
    t.regex(checked.stderr, missing, words.join(' '));
    t.is(checked.status, 3);
  }
  const server = await Server.during(t, store);
  const there = ['-C', 'me', '-F', secret, ...server.clientArgs];
  t.regex((await run('sonic', ['check', ...there], { env })).stderr, missing);
  const next = path.join(home, 'next password');
  fs.writeFileSync(next, 'another password of the tests\n');
  const proven = ['--authenticate', ...place(store), '-o', `${out} proven`, source];
  t.regex((await run('regenerate', proven, { env })).stderr, /NOT_PROVEN/);
  t.false(fs.existsSync(`${out} proven`));
  const save = [...place(store), '--local', source];
  for (const [tool, words] of [
    ['tardis', save],
    ['sonic', ['rekey', '--yes', ...place(store)]],
    ['tardis', [...there, source]],
    ['sonic', ['tag', '--add', 'kept', ...place(store), '1']],
    ['sonic', ['forget-path', '--yes', ...place(store), path.join(source, 'any')]],
    ['sonic', ['setconfig', ...place(store), 'SaveConfig', 'no']],
    ['sonic', ['setconfig', ...there, 'SaveConfig', 'no']],
    ['sonic', ['chpass', ...place(store), '--newpassword-file', next]],
    ['sonic', ['chpass', ...there, '--newpassword-file', next]],
  ] as const) {
    const refused = await run(tool, words, { env });
    t.regex(refused.stderr, /\[STORE_ROLLED_BACK\]/, tool);
    t.is(refused.status, 1);
  }
  const sets = await succeed('sonic', ['list', '--json', ...place(store)], { env: forgetful() });
  t.notRegex(sets, /unfinished/, 'a backup that is refused leaves no set behind');
  const trusted = exited(t, 0, await run('tardis', [...save, '--trust-store'], { env }));
  t.regex(trusted.stderr, /missing; it is taken as it is now/);
  const after = await run('lstardis', place(store), { env });
  t.deepEqual([after.status, after.stderr], [0, '']);
  // A machine that has never seen the newer store cannot detect the older one.
  await succeed('regenerate', [...place(olderStore), '-o', `${out} unknown`, source], {
    env: forgetful(),
  });
});

test('a history that was forked shows by what follows the set that is missing', async (t) => {
  const [forked, purged] = [copied(), copied()];
  const others = forgetful();
  fs.rmSync(path.join(forked, 'me'), { recursive: true });
  fs.cpSync(path.join(olderStore, 'me'), path.join(forked, 'me'), { recursive: true });
  for (const _ of [2, 3, 4]) await backup([...place(forked), '--local', source], { env: others });
  await backup([...place(purged), '--local', source], { env: forgetful() });
  const outcome = async (of: string): Promise<string> => {
    changeCatalog(of, (catalog) => catalog.exec('DELETE FROM backup_sets WHERE set_number = 3'));
    const env = forgetful();
    fs.cpSync(remembering.XDG_STATE_HOME, env['XDG_STATE_HOME']!, { recursive: true });
    const args = [...place(of), '-o', `${of} out`, source];
    return (await run('regenerate', args, { env })).stderr;
  };
  t.regex(await outcome(forked), /STORE_ROLLED_BACK/);
  t.notRegex(await outcome(purged), /STORE_ROLLED_BACK|NOT_AUTHENTIC/);
});

test('a server cannot choose the set that a date means', async (t) => {
  const copy = copied();
  changeCatalog(copy, (catalog) =>
    catalog.exec('UPDATE backup_sets SET opened_at_ms = 4e12 WHERE set_number > 1'),
  );
  const args = [...place(copy), '-d', 'in one hour', '-o', `${copy} out`, source];
  await succeed('regenerate', args, { env: forgetful() });
  t.deepEqual(differences(right, look(path.join(`${copy} out`, 'tree'))), []);
});

test('names that no set has at their paths are left out of what is found', async (t) => {
  const copy = copied();
  const find = [...place(copy), '--json', '--find', 't*'];
  const honest = (await succeed('lstardis', find, { env: forgetful() })).trim().split('\n');
  const lies = [
    `UPDATE entries SET first_set = 1 WHERE first_set = 2`,
    `UPDATE entries SET last_set = NULL WHERE last_set = 1`,
    `UPDATE entries SET last_set = 2 WHERE last_set = 1`,
    `UPDATE OR REPLACE entries SET directory_id = (SELECT max(directory_id) FROM directories)
     WHERE type = 1 AND size_bytes = 5000`,
    `UPDATE entries SET child_id = 5 - child_id WHERE child_id IN (2, 3)`,
    `UPDATE entries SET child_id = 7 - child_id WHERE child_id IN (3, 4)`,
  ];
  let refused = 0;
  for (const sql of lies) {
    const changed = copied();
    changeCatalog(changed, (catalog) =>
      catalog.exec(sql.replace('UPDATE entries', 'UPDATE OR REPLACE entries')),
    );
    const args = [...place(changed), '--json', '--find', 't*'];
    const found = await run('lstardis', args, { env: forgetful() });
    const shown = found.stdout.split('\n').filter((line) => line.includes('"name"'));
    t.deepEqual(
      shown.filter((line) => !honest.includes(line)),
      [],
      sql,
    );
    if (found.status === 0) continue;
    refused += 1;
    t.regex(`${found.stdout}${found.stderr}`, /NOT_AUTHENTIC/);
  }
  t.true(refused > 2, String(refused));
});

test('a digest restores the content it is of, or none', async (t) => {
  const copy = copied();
  let digest = '';
  changeCatalog(copy, (catalog) => {
    const [row] = catalog.prepare('SELECT hex(digest) AS digest FROM contents').all() as {
      digest: string;
    }[];
    digest = row!.digest;
    catalog.exec('UPDATE contents SET size_bytes = 0');
  });
  const args = [...place(copy), '-o', `${copy} out`, '--checksum', digest];
  const { status, stderr } = await run('regenerate', args, { env: forgetful() });
  t.not(status, 0);
  t.regex(stderr, /NOT_AUTHENTIC/);
});

for (const through of ['on this machine', 'through a server'] as const) {
  test(`no backup ${through} builds on a catalog of sealed rows that another program has changed`, async (t) => {
    const copy = copied();
    const env = forgetful();
    const server = through === 'through a server' ? await Server.start(copy) : undefined;
    t.teardown(() => server?.kill());
    const save =
      server === undefined
        ? [...place(copy), '--local', source]
        : ['-C', 'me', '-F', secret, ...server.clientArgs, source];
    changeCatalog(copy, (catalog) =>
      catalog.exec(`UPDATE entries SET metadata = CAST(substr(metadata, 1, 2) || x'ff0f' || substr(metadata, 5) AS BLOB)
        WHERE type = 1 AND size_bytes = 3145728`),
    );
    for (let time = 0; time < 2; time += 1) {
      const refused = exited(t, 1, await run('tardis', save, { env }));
      t.regex(refused.stderr, /changed by another program \[CATALOG_DAMAGED\]\n.*`sonic rebuild /);
    }
    await succeed('sonic', ['rebuild', ...place(copy)], { env });
    await succeed('tardis', save, { env });
    t.is((await restored(copy)).status, 0);
  });
}

test('an older catalog that was put back is brought up to what the packs hold, and backups go on', async (t) => {
  const copy = copied();
  const older = path.join(olderStore, 'me', 'tardis.db');
  fs.copyFileSync(older, path.join(copy, 'me', 'tardis.db'));
  await backup([...place(copy), '--local', source], { env: forgetful() });
  t.is((await restored(copy)).status, 0);
});
