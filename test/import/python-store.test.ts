import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import Database from 'better-sqlite3';
import { OriginalStore, type ShownSet, Staging } from '../../src/import/python/index.js';
import { nodeSystem } from '../../src/system/index.js';
import {
  CLIENT,
  DATA,
  lacksProgram,
  PASSWORD,
  STORES,
  treeOf,
  wanted,
} from '../helpers/python-stores.js';
import { scratch } from '../helpers/scratch.js';

/** Stores whose third set has another name, as that release left it. */
const THIRD_NAMES: Readonly<Record<string, string>> = { '1.2.1-cbc-bzip': 'INCOMPLETE-4' };
const system = nodeSystem();

/** A store that was unpacked, and empty directories to show its sets in. */
class Lab {
  readonly store: string;
  readonly staging: string;
  readonly at: (name: string) => string;

  constructor(t: ExecutionContext, name: string) {
    const home = scratch(t);
    this.at = (part) => path.join(home, part);
    execFileSync('tar', ['-xzf', path.join(DATA, `${name}.tar.gz`), '-C', home, '--no-same-owner']);
    this.store = this.at(CLIENT);
    this.staging = this.at('staging');
    fs.mkdirSync(this.staging);
    fs.mkdirSync(this.at('scratch'));
  }

  open(password: string = PASSWORD): Promise<OriginalStore> {
    const given = Promise.resolve(Buffer.from(password));
    return OriginalStore.open(system, { directory: this.store, password: () => given });
  }

  stage(store: OriginalStore): Staging {
    return new Staging(system, store, { directory: this.staging, scratch: this.at('scratch') });
  }

  /** Changes the database of the store. */
  change(sql: string): void {
    const database = new Database(path.join(this.store, 'tardis.db'));
    database.pragma('foreign_keys = OFF');
    database.exec(sql);
    database.close();
  }
}

function reasons({ problems }: ShownSet): string[] {
  return problems.map(({ path: where, reason }) => `${where.toString()}: ${reason}`);
}

for (const name of STORES) {
  test(`every set of a store of Tardis (Python) is as it was: ${name}`, async (t) => {
    if (lacksProgram(t, name)) return;
    const lab = new Lab(t, name);
    using store = await lab.open();
    using staging = lab.stage(store);
    const sets = store.catalog.sets();
    t.deepEqual(
      sets.map((set) => set.name),
      ['Monthly-2024-01', 'Monthly-2024-02', THIRD_NAMES[name] ?? 'three', 'Monthly-2024-04'],
    );
    t.deepEqual(
      sets.map(({ begunMs }) => new Date(begunMs).toISOString().slice(0, 16)),
      ['2024-01-11T03:04', '2024-02-12T03:04', '2024-03-13T03:04', '2024-04-14T03:04'],
    );
    t.true(sets.every(({ isComplete }) => isComplete));
    t.deepEqual([sets[0]!.priority, sets[3]!.priority], [40, 40]);
    for (const [index, set] of sets.entries()) {
      const shown = await staging.show(set);
      t.deepEqual(reasons(shown), [], set.name);
      t.deepEqual(treeOf(path.join(lab.staging, 'home', 'anna')), wanted(index), set.name);
    }
    t.deepEqual(fs.readdirSync(lab.at('scratch')), []);
  });
}

test('sets that are shown in any order, and again, are as they were', async (t) => {
  const lab = new Lab(t, '1.9.4-plain-zlib');
  using store = await lab.open();
  using staging = lab.stage(store);
  const sets = store.catalog.sets();
  for (const index of [3, 1, 2, 0, 0, 3]) {
    t.deepEqual(reasons(await staging.show(sets[index]!)), []);
    t.deepEqual(treeOf(path.join(lab.staging, 'home', 'anna')), wanted(index));
  }
  t.is((await staging.show(sets[3]!)).changedEntries, 0);
});

test('a file that two sets share keeps its inode and its times', async (t) => {
  const lab = new Lab(t, '1.9.4-plain-zlib');
  using store = await lab.open();
  using staging = lab.stage(store);
  const sets = store.catalog.sets();
  const look = (name: string) => {
    const { ino, ctimeNs } = fs.lstatSync(path.join(lab.staging, 'home/anna', name), {
      bigint: true,
    });
    return `${ino} ${ctimeNs}`;
  };
  const names = ['bin/tool', 'odd/-dash', 'dangling', 'meta/shared/inside', 'docs/large.txt'];
  await staging.show(sets[0]!);
  const before = names.map(look);
  const deep = fs.lstatSync(path.join(lab.staging, 'home/anna/a/b/c/d/deep')).ino;
  await staging.show(sets[1]!);
  await staging.show(sets[2]!);
  t.deepEqual(names.map(look), before);
  t.is(fs.lstatSync(path.join(lab.staging, 'home/anna/a/moved/c/d/deep')).ino, deep);
});

test('tags, locks and priorities are read', async (t) => {
  const lab = new Lab(t, '1.9.4-gcm-lz4');
  lab.change('UPDATE Backups SET Locked = 1, Priority = 7 WHERE BackupSet = 2');
  using store = await lab.open();
  const [first, , third] = store.catalog.sets();
  t.true(first!.isLocked);
  t.is(first!.priority, 7);
  t.deepEqual(store.tagsOf(third!), ['before-move']);
});

test('a wrong password and another name of the directory are refused', async (t) => {
  for (const name of ['0.33.0-cbc', '1.9.4-gcm-lz4']) {
    const lab = new Lab(t, name);
    await t.throwsAsync(lab.open('wrong'), { code: 'LOGIN_FAILED' }, name);
    const renamed = {
      directory: lab.at('other'),
      password: () => Promise.resolve(Buffer.from(PASSWORD)),
    };
    fs.renameSync(lab.store, renamed.directory);
    const error = await t.throwsAsync(OriginalStore.open(system, renamed), {
      code: 'LOGIN_FAILED',
    });
    t.regex(error.message, /another name than "other"/);
    using store = await OriginalStore.open(system, { ...renamed, client: CLIENT });
    t.is(store.catalog.sets().length, 4);
  }
});

test('a directory without a database, a damaged one and another schema are refused', async (t) => {
  const lab = new Lab(t, '1.9.4-plain-zlib');
  lab.change("UPDATE Config SET Value = '24' WHERE Key = 'SchemaVersion'");
  await t.throwsAsync(lab.open(), { code: 'IMPORT_SOURCE_UNKNOWN', message: /schema 24/ });
  lab.change("UPDATE Config SET Value = '14' WHERE Key = 'SchemaVersion'");
  await t.throwsAsync(lab.open(), { code: 'IMPORT_SOURCE_UNKNOWN', message: /schema 14/ });
  fs.writeFileSync(path.join(lab.store, 'tardis.db'), 'no database');
  await t.throwsAsync(lab.open(), { code: 'IMPORT_SOURCE_DAMAGED' });
  fs.rmSync(path.join(lab.store, 'tardis.db'));
  await t.throwsAsync(lab.open(), {
    code: 'IMPORT_SOURCE_UNKNOWN',
    message: /no client of Tardis/,
  });
});

/** Changes of a sound database that a hostile one may have, and what is then reported of the first set. */
const HOSTILE: readonly (readonly [sql: string, reported: RegExp])[] = [
  [
    `UPDATE Names SET Name = '../../../out' WHERE Name = 'notes.txt'`,
    /^home\/anna\/docs\/.*: its name is damaged$/,
  ],
  [`UPDATE Names SET Name = '..' WHERE Name = 'notes.txt'`, /: its name is damaged$/],
  [`UPDATE CheckSums SET Basis = Checksum WHERE Size = 12000`, /report\.bin: .* needs itself$/],
  [
    `UPDATE CheckSums SET Basis = '../../etc/passwd' WHERE Size = 12000`,
    /report\.bin: .* is missing$/,
  ],
  [
    `UPDATE CheckSums SET Size = 11999 WHERE Size = 12000`,
    /report\.bin: .* is longer than its size$/,
  ],
  [`UPDATE CheckSums SET Size = 9e99 WHERE Size = 12000`, /report\.bin: .* is missing$/],
  [
    `UPDATE CheckSums SET Compressed = 'rar' WHERE Size = 12000`,
    /report\.bin: .* unknown compression, rar$/,
  ],
  [
    `UPDATE CheckSums SET Compressed = 'zstd' WHERE Size = 12000`,
    /report\.bin: .* cannot be decoded$/,
  ],
  [`UPDATE CheckSums SET Encrypted = 1 WHERE Size = 12000`, /report\.bin: .* without keys$/],
  [
    `UPDATE Files SET Inode = (SELECT Inode FROM Files JOIN Names USING (NameID) WHERE Name = 'anna' LIMIT 1)
     WHERE NameID = (SELECT NameID FROM Names WHERE Name = 'd')`,
    /c\/d: it is another name of a directory$/,
  ],
  [
    `UPDATE Files SET XattrID = (SELECT ChecksumId FROM CheckSums WHERE Size = 12000)
     WHERE NameID = (SELECT NameID FROM Names WHERE Name = 'notes.txt')`,
    /notes\.txt: its attributes are damaged$/,
  ],
];

test('what a hostile database has does no harm, is reported, and does not stop the rest', async (t) => {
  for (const [sql, reported] of HOSTILE) {
    const lab = new Lab(t, '1.9.4-plain-zlib');
    lab.change(sql);
    using store = await lab.open();
    using staging = lab.stage(store);
    const shown = await staging.show(store.catalog.sets()[0]!);
    t.true(
      reasons(shown).some((reason) => reported.test(reason)),
      `${sql}: ${reasons(shown).join('; ')}`,
    );
    t.deepEqual(fs.readdirSync(lab.at('')).sort(), [CLIENT, 'scratch', 'staging'].sort());
    t.true(fs.existsSync(path.join(lab.staging, 'home/anna/bin/tool')), sql);
  }
});

test('a content with other bytes is reported and left out', async (t) => {
  for (const name of ['1.9.4-plain-zlib', '0.33.0-cbc', '1.3.10-chacha-zstd']) {
    const lab = new Lab(t, name);
    const contents = fs.readdirSync(lab.store, { recursive: true, encoding: 'utf8' });
    for (const file of contents.filter((one) => /[0-9a-f]{32}$/.test(one))) {
      const full = path.join(lab.store, file);
      const bytes = fs.readFileSync(full);
      if (bytes.length > 0) bytes[bytes.length >> 1]! ^= 1;
      fs.writeFileSync(full, bytes);
    }
    using store = await lab.open();
    using staging = lab.stage(store);
    const shown = await staging.show(store.catalog.sets()[0]!);
    const home = treeOf(path.join(lab.staging, 'home/anna'));
    const files = Object.entries(home).filter(([, { sha256 }]) => sha256 !== undefined);
    t.true(
      files.every(([, { size }]) => size === 0),
      name,
    );
    t.true(shown.problemCount > 15, name);
  }
});

test('a content that is a link is not followed, and no basis is taken without its digest', async (t) => {
  const lab = new Lab(t, '1.9.4-plain-zlib');
  fs.writeFileSync(lab.at('secret'), 'what only root may read');
  using store = await lab.open();
  const files = fs
    .readdirSync(lab.store, { recursive: true, encoding: 'utf8' })
    .filter((name) => /[0-9a-f]{32}$/.test(name));
  for (const name of files) {
    fs.unlinkSync(path.join(lab.store, name));
    fs.symlinkSync(lab.at('secret'), path.join(lab.store, name));
  }
  using staging = lab.stage(store);
  const { problemCount } = await staging.show(store.catalog.sets()[0]!);
  t.true(problemCount > 0);
  const found = fs.readdirSync(lab.staging, { recursive: true, withFileTypes: true });
  for (const one of found.filter((entry) => entry.isFile())) {
    const text = fs.readFileSync(path.join(one.parentPath, one.name), 'latin1');
    t.false(text.includes('only root'), one.name);
  }
});

test('the database is no link, and has no views in the place of tables', async (t) => {
  const lab = new Lab(t, '1.9.4-plain-zlib');
  lab.change('ALTER TABLE Backups RENAME TO b; CREATE VIEW Backups AS SELECT * FROM b');
  await t.throwsAsync(lab.open(), { code: 'IMPORT_SOURCE_DAMAGED', message: /no sound database/ });
  const other = new Lab(t, '1.9.4-plain-zlib');
  fs.renameSync(path.join(other.store, 'tardis.db'), other.at('db'));
  fs.symlinkSync(other.at('db'), path.join(other.store, 'tardis.db'));
  await t.throwsAsync(other.open(), { code: 'IMPORT_SOURCE_UNKNOWN' });
});
