/** `sonic copy` from a server: its logins and its options. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { codeIn } from '../helpers/codes.js';
import { commandsRunHere, jsonLines, run, succeed } from '../helpers/commands.js';
import { type HistoryLab, makeHistoryLab, removeHistoryLab } from '../helpers/history-lab.js';
import { giveAccount, PASSWORD } from '../helpers/rekeys.js';
import { scratch } from '../helpers/tree.js';

commandsRunHere();

const labs: HistoryLab[] = [];
test.before(async () => {
  labs.push(await makeHistoryLab(false), await makeHistoryLab(true));
});
test.after.always(async () => {
  for (const lab of labs) await removeHistoryLab(lab);
});

/** Returns the words that name the client at the server of a lab. */
function at({ daemon: { address } }: HistoryLab): string[] {
  if (address.kind !== 'tcp') throw new Error('the server of the lab listens on TCP');
  const place = ['--server', address.host, '--port', String(address.port), '--insecure-tcp'];
  return [...place, '-C', 'me'];
}

interface Copied {
  readonly clients: readonly { readonly sets: readonly number[]; readonly as: string }[];
}

test('a client is copied from a server by each kind of login, and later runs copy what is new', async (t) => {
  for (const lab of labs) {
    const home = scratch(t);
    const file = path.join(home, 'password');
    fs.writeFileSync(file, `${PASSWORD}\n`);
    const to = path.join(home, 'copy');
    const words = ['copy', ...at(lab), '--to', to];
    const lines = await succeed('sonic', [...words, '-F', file]);
    t.regex(lines, /^"me" to .*: 6 sets, .*; the copy has 6 sets\.\n$/);
    const program = ['--password-prog', `cat ${file}`];
    const json = await succeed('sonic', [...words, ...program, '--json']);
    t.deepEqual(jsonLines<Copied>(json)[0]!.clients[0]!.sets, []);
    const renamed = ['--as', 'other', `--password=${PASSWORD}`, '--json'];
    const other = jsonLines<Copied>(await succeed('sonic', [...words, ...renamed]))[0]!.clients[0]!;
    t.deepEqual([other.sets, other.as], [[1, 2, 3, 5, 6, 7], 'other']);
    const password = [`--password=${PASSWORD}`];
    const list = (place: readonly string[]) =>
      succeed('sonic', ['list', ...place, ...password, '--json']);
    const source = await list(['-D', lab.place.store, '-C', 'me']);
    t.is(await list(['-D', to, '-C', 'me']), source, 'numbers, names, times, tags and locks');
    const { status } = await run('sonic', [...words, '--password=wrong']);
    t.is(status, 12);
  }
});

test('an account of a client that does not encrypt copies it, if it may read', async (t) => {
  const [lab] = labs;
  await giveAccount(lab!.place, 'copier', ['list', 'read']);
  const to = path.join(scratch(t), 'copy');
  const words = ['copy', ...at(lab!), '--to', to, '--account', 'copier'];
  const json = await succeed('sonic', [...words, `--password=${PASSWORD}`, '--json']);
  t.is(jsonLines<Copied>(json)[0]!.clients[0]!.sets.length, 6);
});

test('what cannot be copied from a server is refused before anything is made', async (t) => {
  const to = path.join(scratch(t), 'copy');
  const code = async (...words: string[]) =>
    codeIn(await run('sonic', ['copy', '--to', to, ...words]));
  const place = at(labs[0]!).slice(0, -2);
  t.is(await code(...place, '--all', `--password=${PASSWORD}`), 'USAGE');
  t.is(await code('--server', 'https://localhost:1/', '-C', 'me'), 'CONFIG_INVALID');
  t.is(await code('--server', '192.0.2.1', '--insecure-tcp', '-C', 'me'), 'INSECURE_TCP_REFUSED');
  t.false(fs.existsSync(to));
});
