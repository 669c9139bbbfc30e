// Pace: slow
/** `sonic copy` from a server and to one: logins, options, and processes that are killed. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { codeIn, exited } from '../helpers/codes.js';
import { commandsRunHere, jsonLines, run, Running, Server, succeed } from '../helpers/commands.js';
import { type HistoryLab, historyLabFor } from '../helpers/history-lab.js';
import { giveAccount, PASSWORD } from '../helpers/rewrites.js';
import { lab } from '../helpers/lab.js';
import { folderIn, scratchInMemory, written } from '../helpers/scratch.js';
import { file, noise } from '../helpers/tree.js';

commandsRunHere();

const labs = [historyLabFor(test, false), historyLabFor(test, true)];

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
    const home = scratchInMemory(t);
    const file = written(home, 'password', `${PASSWORD}\n`);
    const to = path.join(home, 'copy');
    const words = ['copy', ...at(lab), '--to', to];
    const lines = await succeed('sonic', [...words, '--create', '-F', file]);
    t.regex(lines, /^"me" to .*: 6 sets, .*; the copy has 6 sets\.\nThe copy is new: .*\n$/);
    const program = ['--password-prog', `cat ${file}`];
    const json = await succeed('sonic', [...words, ...program, '--json']);
    t.deepEqual(jsonLines<Copied>(json)[0]!.clients[0]!.sets, []);
    const renamed = ['--create', '--as', 'other', `--password=${PASSWORD}`, '--json'];
    const other = jsonLines<Copied>(await succeed('sonic', [...words, ...renamed]))[0]!.clients[0]!;
    t.deepEqual([other.sets, other.as], [[1, 2, 3, 5, 6, 7], 'other']);
    const password = [`--password=${PASSWORD}`];
    const list = (place: readonly string[]) =>
      succeed('sonic', ['list', ...place, ...password, '--json']);
    const source = await list(['-D', lab.place.store, '-C', 'me']);
    t.is(await list(['-D', to, '-C', 'me']), source, 'numbers, names, times, tags and locks');
    exited(t, 12, await run('sonic', [...words, '--password=wrong']));
  }
});

test('an account of a client that does not encrypt copies it, if it may read', async (t) => {
  const [lab] = labs;
  await giveAccount(lab!.place, 'copier', ['list', 'read']);
  const to = path.join(scratchInMemory(t), 'copy');
  const words = ['copy', ...at(lab!), '--to', to, '--create', '--account', 'copier'];
  const json = await succeed('sonic', [...words, `--password=${PASSWORD}`, '--json']);
  t.is(jsonLines<Copied>(json)[0]!.clients[0]!.sets.length, 6);
});

/** Returns the port of a server of a lab. */
function portOf({ daemon: { address } }: HistoryLab): number {
  if (address.kind !== 'tcp') throw new Error('the server of the lab listens on TCP');
  return address.port;
}

const SECRET = [`--password=${PASSWORD}`];

test('a client is copied to a server that accepts copies, from a store and from another server', async (t) => {
  for (const lab of labs) {
    const home = scratchInMemory(t);
    const store = folderIn(home, 'target');
    const server = await Server.during(t, store, ['--accept-copies']);
    const to = ['--to-server', `127.0.0.1:${server.port}`, '--insecure-tcp', ...SECRET];
    const copy = async (...words: string[]) =>
      jsonLines<Copied>(await succeed('sonic', ['copy', ...words, ...to, '--json']))[0]!
        .clients[0]!;
    const here = ['-D', lab.place.store, '-C', 'me'];
    t.deepEqual((await copy(...here, '--create')).sets, [1, 2, 3, 5, 6, 7]);
    t.deepEqual((await copy(...here)).sets, []);
    t.is(codeIn(await run('sonic', ['copy', ...here, '--create', ...to])), 'CLIENT_EXISTS');
    const there = ['--server', '127.0.0.1', '--port', String(portOf(lab)), '-C', 'me'];
    t.deepEqual((await copy(...there, '--create', '--as', 'other')).sets.length, 6);
    await server.stop();
    const list = (place: readonly string[]) =>
      succeed('sonic', ['list', ...place, ...SECRET, '--json']);
    for (const name of ['me', 'other']) {
      t.is(await list(['-D', store, '-C', name]), await list(here), name);
    }
  }
});

test('copies go on when the command or the server is killed', async (t) => {
  const { source, at } = lab(
    t,
    Array.from({ length: 12 }, (_, index) => file(`f${index}`, noise(index, 2 << 20))),
  );
  const socket = at('socket');
  const from = ['-D', at('from'), '-C', 'me'];
  await succeed('tardis', [...from, '--local', '--create', '--compress-data', 'none', source]);
  const serve = async (store: string): Promise<Running> => {
    const create = fs.existsSync(at(store)) ? [] : ['--create'];
    fs.rmSync(socket, { force: true });
    const words = ['-D', at(store), '--local', socket, '--accept-copies', ...create];
    words.push('--allow-new-hosts');
    const server = new Running('tardisd', [...words, '-v'], { timeoutMs: 600_000 });
    t.teardown(() => server.signalGroup('SIGKILL'));
    await server.until('listening server', () => server.stderr.includes('listening'));
    return server;
  };
  const list = (store: string): Promise<string> =>
    succeed('sonic', ['list', '-D', at(store), '-C', 'me', '--json']);
  const ways = [
    { store: 'from', words: ['--server', socket, '-C', 'me', '--to', at('copied'), '--create'] },
    { store: 'to', words: [...from, '--to-server', socket, '--create'] },
  ];
  for (const { store, words } of ways) {
    let server = await serve(store);
    const all = ['copy', ...words, '--progress'];
    const first = new Running('sonic', all);
    await first.until('progress', () => first.stderr.includes('copying'));
    await first.endedBy('SIGKILL');
    // The first one has created the client, and may have been done.
    const second = new Running(
      'sonic',
      all.filter((word) => word !== '--create'),
    );
    await second.until('progress', () => second.stderr.includes('copying') || second.hasEnded);
    server.signalGroup('SIGKILL');
    await server.ended;
    server = await serve(store);
    exited(t, 0, await second.ended);
    server.signalGroup('SIGKILL');
    await server.ended;
    const target = store === 'to' ? 'to' : 'copied';
    t.is(await list(target), await list('from'));
    await succeed('sonic', ['check', '--read-data', '-D', at(target), '-C', 'me']);
  }
});

test('what cannot be copied from a server is refused before anything is made', async (t) => {
  const to = path.join(scratchInMemory(t), 'copy');
  const code = async (...words: string[]) =>
    codeIn(await run('sonic', ['copy', '--to', to, ...words]));
  const place = at(labs[0]!).slice(0, -2);
  t.is(await code(...place, '--all', `--password=${PASSWORD}`), 'USAGE');
  t.is(await code('--server', 'https://localhost:1/', '-C', 'me'), 'CONFIG_INVALID');
  const toServer = ['--to-server', '127.0.0.1:1', '--insecure-tcp'];
  t.is(await code(...toServer), 'USAGE', 'two targets');
  const out = async (...words: string[]) =>
    codeIn(await run('sonic', ['copy', '-D', labs[0]!.place.store, ...toServer, ...words]));
  t.is(await out('--all'), 'USAGE');
  t.is(await out('-C', 'me', '--delete'), 'USAGE');
  t.is(await out('-C', 'me', '--reconnect', '0', ...SECRET), 'SERVER_UNREACHABLE');
  t.is(await code('--server', '192.0.2.1', '--insecure-tcp', '-C', 'me'), 'INSECURE_TCP_REFUSED');
  t.false(fs.existsSync(to));
});
