/** `tardis --import-store`: the sets of a store of Tardis (Python) come over, each with its name, date, priority and files. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { codeIn } from '../helpers/codes.js';
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
import { scratchInMemory } from '../helpers/scratch.js';

backupsRunHere();

for (const name of STORES) {
  test(`the sets of a store of Tardis (Python) come over: ${name}`, async (t) => {
    if (lacksProgram(t, name)) return;
    const home = scratchInMemory(t);
    const at = (part: string): string => path.join(home, part);
    execFileSync('tar', ['-xzf', path.join(DATA, `${name}.tar.gz`), '-C', home, '--no-same-owner']);
    fs.writeFileSync(at('password'), `${PASSWORD}\n`);
    const client = ['-D', at('store'), '-C', 'me', '--password-file', at('password')];
    const words = ['--local', '--create', '--import-store', at(CLIENT)];
    const secret = ['--import-password-file', at('password')];
    const before = fs.readdirSync(at(CLIENT), { recursive: true, encoding: 'utf8' }).sort();
    await succeed('tardis', [...client, ...words, ...secret]);
    t.deepEqual(
      await succeed('tardis', [...client, ...words.slice(0, 1), ...words.slice(2), ...secret]),
      '',
    );
    t.deepEqual(fs.readdirSync(at(CLIENT), { recursive: true, encoding: 'utf8' }).sort(), before);
    const { sets } = JSON.parse(await succeed('lstardis', [...client, '--json'])) as {
      sets: { name: string; clientTimeMs: number; priority: number }[];
    };
    t.deepEqual(
      sets.map((set) => new Date(set.clientTimeMs).toISOString().slice(0, 16)),
      ['2024-01-11T03:04', '2024-02-12T03:04', '2024-03-13T03:04', '2024-04-14T03:04'],
    );
    t.deepEqual([sets[0]!.name, sets[3]!.name], ['Monthly-2024-01', 'Monthly-2024-04']);
    t.deepEqual([sets[0]!.priority, sets[3]!.priority], [40, 40]);
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
    const { status, stderr } = await run('tardis', [...client, ...words]);
    t.is(status === 0, false, stderr);
    return codeIn({ stderr });
  };
  t.is(await refused('--local', '--import-store', home), 'IMPORT_SOURCE_UNKNOWN');
  t.is(await refused('--server', '127.0.0.1', '--import-store', at(CLIENT)), 'USAGE');
  t.is(await refused('--local', '--import-store', at(CLIENT), '--kept-as', '/x'), 'USAGE');
  fs.rmSync(at(CLIENT), { recursive: true });
  const encrypting = path.join(DATA, '1.9.4-gcm-lz4.tar.gz');
  execFileSync('tar', ['-xzf', encrypting, '-C', home, '--no-same-owner']);
  fs.writeFileSync(at('wrong'), 'another one\n');
  const words = ['--local', '--import-store', at(CLIENT), '--import-password-file', at('wrong')];
  t.is(await refused(...words), 'LOGIN_FAILED');
  t.false(fs.existsSync(at('store')));
});
