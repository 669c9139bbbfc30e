// Pace: slow
/** Sets of Tardis (Python), and archives of restic and borg, come over, each with its name, date and files. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import Database from 'better-sqlite3';
import { codeIn, exited } from '../helpers/codes.js';
import { backupsRunHere, run, succeed } from '../helpers/commands.js';
import {
  CLIENT,
  DATA,
  lacksProgram,
  PASSWORD,
  STORES,
  treeOf,
  wanted,
} from '../helpers/python-stores.js';
import { mayUse, REPOSITORIES } from '../helpers/repositories.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { differences, dir, file, look, makeTree, noise, type Snapshot } from '../helpers/tree.js';

backupsRunHere();

for (const name of STORES) {
  test(`the sets of a store of Tardis (Python) come over: ${name}`, async (t) => {
    if (lacksProgram(t, name)) return;
    const home = scratchInMemory(t);
    const at = (part: string): string => path.join(home, part);
    execFileSync('tar', ['-xzf', path.join(DATA, `${name}.tar.gz`), '-C', home, '--no-same-owner']);
    fs.writeFileSync(at('password'), `${PASSWORD}\n`);
    const database = new Database(at(`${CLIENT}/tardis.db`));
    const schema = database.prepare("SELECT Value FROM Config WHERE Key = 'SchemaVersion'").pluck();
    const hasLocks = Number(schema.get()) >= 20;
    if (hasLocks) database.exec('UPDATE Backups SET Locked = 1 WHERE BackupSet = 3');
    database.close();
    const client = ['-D', at('store'), '-C', 'me', '--password-file', at('password')];
    const words = [...client, at(CLIENT), '--source-password-file', at('password')];
    const before = fs.readdirSync(at(CLIENT), { recursive: true, encoding: 'utf8' }).sort();
    const verified = await succeed('tardis-import', ['--create', '--verify', ...words]);
    t.is([...verified.matchAll(/^Compared set .*: equal; \d+ files? read/gm)].length, 4, verified);
    t.is(await succeed('tardis-import', words), '');
    t.deepEqual(fs.readdirSync(at(CLIENT), { recursive: true, encoding: 'utf8' }).sort(), before);
    const { sets } = JSON.parse(await succeed('lstardis', [...client, '--json'])) as {
      sets: { name: string; clientTimeMs: number; priority: number; isLocked: boolean }[];
    };
    t.deepEqual(
      sets.map((set) => new Date(set.clientTimeMs).toISOString().slice(0, 16)),
      ['2024-01-11T03:04', '2024-02-12T03:04', '2024-03-13T03:04', '2024-04-14T03:04'],
    );
    t.deepEqual([sets[0]!.name, sets[3]!.name], ['Monthly-2024-01', 'Monthly-2024-04']);
    t.deepEqual([sets[0]!.priority, sets[3]!.priority], [40, 40]);
    t.deepEqual(
      sets.map(({ isLocked }) => isLocked),
      [false, hasLocks, false, false],
    );
    for (const index of sets.keys()) {
      const out = at(`out ${index}`);
      await succeed('regenerate', [...client, '-b', String(index + 1), '-o', out, '/home/anna']);
      t.deepEqual(treeOf(path.join(out, 'anna')), wanted(index), `set ${index + 1}`);
    }
  });
}

test('a wrong password, a directory that is no store, and options that do not fit are refused', async (t) => {
  const home = scratchInMemory(t);
  const at = (part: string): string => path.join(home, part);
  const archive = path.join(DATA, '1.7.2-plain.tar.gz');
  execFileSync('tar', ['-xzf', archive, '-C', home, '--no-same-owner']);
  const client = ['-D', at('store'), '-C', 'me', '--create'];
  const refused = async (...words: string[]): Promise<string | undefined> => {
    const { status, stderr } = await run('tardis-import', [...client, ...words]);
    t.is(status, words.at(-1) === at('wrong') ? 12 : 1, stderr);
    return codeIn({ stderr });
  };
  const { stderr } = await run('tardis-import', [...client, home]);
  t.regex(stderr, new RegExp(`one must be named: ${CLIENT} .*IMPORT_SOURCE_UNKNOWN`));
  t.is(await refused(at('nothing')), 'IMPORT_SOURCE_UNKNOWN');
  t.is(await refused(), 'USAGE');
  t.is(await refused(at(CLIENT), '--kept-as', '/x'), 'USAGE');
  t.is(await refused(at(CLIENT), '--sets', at('*'), '--kept-as', '/x'), 'USAGE');
  fs.rmSync(at(CLIENT), { recursive: true });
  const encrypting = path.join(DATA, '1.9.4-gcm-lz4.tar.gz');
  execFileSync('tar', ['-xzf', encrypting, '-C', home, '--no-same-owner']);
  fs.writeFileSync(at('wrong'), 'another one\n');
  t.is(await refused(at(CLIENT), '--source-password-file', at('wrong')), 'LOGIN_FAILED');
  t.false(fs.existsSync(at('store')));
});

for (const [program, { make, save, env }] of Object.entries(REPOSITORIES)) {
  test(`the history of a repository comes over by its program: ${program}`, async (t) => {
    if (!mayUse(t, program)) return;
    const home = scratchInMemory(t);
    const at = (part: string): string => path.join(home, part);
    const repository = at('repository');
    const more = { ...process.env, HOME: home, XDG_CACHE_HOME: at('cache'), ...env(repository) };
    const call = (words: readonly string[]): unknown =>
      execFileSync(program, words, { env: more, stdio: ['ignore', 'ignore', 'inherit'] });
    call(make(repository));
    const trees: Snapshot[] = [];
    for (const [index, date] of ['2024-05-01 03:00:00', '2024-06-01 03:00:00'].entries()) {
      if (index === 0) makeTree(at('tree'), [dir('kept', [file('same', noise('same', 9000))])]);
      fs.writeFileSync(at('tree/changes'), `state ${index}`);
      trees.push(look(at('tree')));
      call(save(at('tree'), date, repository));
    }
    const client = ['-D', at('store'), '-C', 'me'];
    const environment = { env: { HOME: home, XDG_CACHE_HOME: at('cache'), ...env(repository) } };
    const words = [...client, '--create', '--verify', repository];
    const verified = await succeed('tardis-import', words, environment);
    t.is([...verified.matchAll(/^Compared set .*: equal; /gm)].length, 2, verified);
    for (const [index, tree] of trees.entries()) {
      const out = at(`out ${index}`);
      await succeed('regenerate', [...client, '-b', String(index + 1), '-o', out, at('tree')]);
      t.deepEqual(differences(tree, look(path.join(out, 'tree'))), []);
    }
    const { sets } = JSON.parse(await succeed('lstardis', [...client, '--json'])) as {
      sets: { clientTimeMs: number }[];
    };
    t.deepEqual(
      sets.map(({ clientTimeMs }) => new Date(clientTimeMs).getMonth()),
      [4, 5],
    );
    const again = [...client, `${program}:${repository}`];
    t.is(await succeed('tardis-import', again, environment), '');
    const gone = [...client, `${program}:${at('nothing')}`];
    const { stderr } = exited(t, 1, await run('tardis-import', gone, environment));
    t.is(codeIn({ stderr }), 'IMPORT_SOURCE_UNKNOWN', stderr);
    if (program !== 'restic') return; // the one of borg has no password
    const wrong = { env: { ...environment.env, RESTIC_PASSWORD: 'another one' } };
    const refused = exited(t, 12, await run('tardis-import', again, wrong));
    t.regex(
      refused.stderr,
      /cannot list \S+: Fatal: wrong password or no key found \[LOGIN_FAILED\]/,
    );
  });
}
