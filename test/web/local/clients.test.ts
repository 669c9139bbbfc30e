/** Several clients in a user's own page: each is opened for itself, by its own password, and acts are those of its own. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { TardisError } from '../../../src/errors/index.js';
import { type History, openLocalHistory } from '../../../src/history/index.js';
import type { Act, Commands, OtherClients } from '../../../src/web/local/index.js';
import { backupInline, inlineSystem } from '../../helpers/inline.js';
import { serveHere } from '../../helpers/local-door.js';
import { scratchInMemory } from '../../helpers/scratch.js';
import { file, makeTree } from '../../helpers/tree.js';

/** More clients than are open at once. */
const MANY = 12;
const AWAY = 'laptop@0123abcd';

/** Clients whose data are those of one store, and which are opened by passwords that are their names. */
class Others implements OtherClients {
  readonly tries: string[] = [];
  readonly open_: string[] = [];
  readonly acts: [name: string, act: Act][] = [];

  constructor(
    private readonly read: () => History,
    /** Clients that need no password. */
    private readonly plain: ReadonlySet<string>,
  ) {}

  find(name: string): ReturnType<OtherClients['find']> {
    if (!/^(?:laptop|[a-z]\d*)(?:@[0-9a-f]{8})?$/.test(name)) {
      throw new TardisError('NO_SUCH_CLIENT', `no ${name}`);
    }
    const commands: Commands = {
      offers: name === AWAY ? ['change'] : [],
      mountPoint: `/mounts/${name}`,
      setup: () => undefined,
      start: (act) => {
        this.acts.push([name, act]);
        return { text: `sonic of ${name}`, follow: async () => 0, stop: () => undefined };
      },
    };
    return { name, commands, storeWords: `-D /of/${name}` };
  }

  async open(name: string, password: string | undefined): Promise<History> {
    this.tries.push(`${name} ${password === undefined ? 'alone' : 'password'}`);
    if (password !== undefined && password !== name) {
      throw new TardisError('LOGIN_FAILED', 'the password is wrong');
    }
    if (password === undefined && !this.plain.has(name)) {
      throw new TardisError('PASSWORD_NEEDED', 'none was given');
    }
    this.open_.push(name);
    return this.read();
  }

  closed(): void {
    this.open_.shift();
  }
}

async function served(t: ExecutionContext, plain: readonly string[] = []) {
  const home = scratchInMemory(t);
  const [store, source] = [path.join(home, 'store'), path.join(home, 'tree')];
  makeTree(source, [file('a.txt', 'text')]);
  const system = inlineSystem();
  await backupInline(system, { store, client: 'me' }, [source], { create: true });
  const read = (): History => openLocalHistory(system, { store, client: 'me' });
  const others = new Others(read, new Set(plain));
  const { base, headers } = await serveHere(t, read(), { others });
  const ask = async (url: string, body?: object, method = body === undefined ? 'GET' : 'POST') => {
    const { 'content-type': type, ...rest } = headers;
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    const all = body === undefined ? rest : { ...rest, 'content-type': type! };
    const answer = await fetch(`${base}${url}`, { method, headers: all, ...sent });
    const value = (await answer.json()) as Record<string, unknown>;
    return { status: answer.status, value, code: value['code'] };
  };
  const sets = async (client: string) => {
    const { status, code } = await ask(`/clients/${encodeURIComponent(client)}/sets`);
    return code === undefined ? status : code;
  };
  return { ask, sets, others, source, home, store, system };
}

test('a client is opened by its own password, which opens no other one', async (t) => {
  const { ask, sets, others } = await served(t);
  const unlock = async (client: string, password: string) =>
    (await ask('/unlocks', { client, password })).status;
  t.is(await sets('a'), 'PASSWORD_NEEDED');
  t.is(await unlock('a', 'b'), 401);
  t.is(await sets('a'), 'PASSWORD_NEEDED');
  t.is(await unlock('a', 'a'), 200);
  t.is(await sets('a'), 200);
  t.is(await sets('b'), 'PASSWORD_NEEDED');
  t.is(await sets('me'), 200);
  t.deepEqual(others.open_, ['a']);
  for (const client of ['nobody here', '../me', 'a@ffff', 'A@0123abcd']) {
    t.is(await unlock(client, 'a'), 404, client);
    t.true(
      [400, 404].includes((await ask(`/session?client=${encodeURIComponent(client)}`)).status),
    );
  }
  t.is((await ask('/unlocks', { client: 'a' })).status, 400);
});

test('few other clients are open at once, and one that was closed needs its password again', async (t) => {
  const names = Array.from({ length: MANY }, (_, index) => `c${index}`);
  const { ask, sets, others } = await served(t, names);
  t.is((await ask('/unlocks', { client: 'a', password: 'a' })).status, 200);
  for (const name of names) {
    t.is(await sets(name), 200);
    t.true(others.open_.length <= 9, String(others.open_.length)); // one is closed while another one opens
  }
  t.is(await sets('a'), 'PASSWORD_NEEDED');
});

test('a configured password that is wrong is tried once, until the right one is typed', async (t) => {
  const { sets, others } = await served(t);
  const open = others.open.bind(others);
  others.open = async (name, password) => {
    const failed = password === undefined ? 'LOGIN_FAILED' : undefined;
    if (failed === undefined) return open(name, password);
    others.tries.push(`${name} alone`);
    throw new TardisError(failed, 'the password is wrong');
  };
  t.is(await sets('a'), 'LOGIN_FAILED');
  t.is(await sets('a'), 'LOGIN_FAILED');
  t.deepEqual(others.tries, ['a alone']);
});

test('a client whose directory a rewrite has replaced is opened anew', async (t) => {
  const { ask, source, store, system } = await served(t, ['me', 'a']);
  const count = async (client: string): Promise<number> =>
    ((await ask(`/clients/${client}/sets`)).value['sets'] as unknown[]).length;
  t.deepEqual([await count('me'), await count('a')], [1, 1]);
  const [at, old] = [path.join(store, 'me'), path.join(store, 'old')];
  fs.cpSync(at, `${at}.next`, { recursive: true });
  fs.renameSync(at, old);
  fs.renameSync(`${at}.next`, at);
  await backupInline(system, { store, client: 'me' }, [source]);
  t.deepEqual([await count('me'), await count('a')], [2, 2]);
});

test('the session, acts, restores and jobs are those of the client that is named', async (t) => {
  const { ask, others, source, home } = await served(t, [AWAY, 'a']);
  const { value } = await ask(`/session?client=${AWAY}`);
  const of = { storeWords: `-D /of/${AWAY}`, mountPoint: `/mounts/${AWAY}` };
  t.like(value, { client: AWAY, offers: ['change'], ...of });
  t.like((await ask('/session')).value, { client: 'me', offers: [] });
  const act = { sets: [1], isLocked: true };
  for (const client of ['me', 'a']) t.is((await ask(`/clients/${client}/locks`, act)).status, 403);
  const locked = await ask(`/clients/${AWAY}/locks`, act);
  t.like(locked.value, { client: AWAY, command: `sonic of ${AWAY}` });
  let job: Record<string, unknown> = {};
  while (job['state'] !== 'done') job = (await ask(`/jobs/${String(locked.value['id'])}`)).value;
  await ask(`/jobs/${String(job['id'])}/undo`, undefined, 'POST');
  t.deepEqual(
    others.acts.map(([name, { kind }]) => [name, kind]),
    [
      [AWAY, 'lock'],
      [AWAY, 'lock'],
    ],
  );
  const output = path.join(home, 'out');
  const how = { overwrite: 'refuse', comparesContents: false, isPreview: false };
  const request = { client: AWAY, set: 1, paths: [source], output, ...how };
  let restore = (await ask('/restores', request)).value;
  t.is(restore['client'], AWAY, JSON.stringify(restore));
  while (restore['state'] === 'running') {
    restore = (await ask(`/jobs/${String(restore['id'])}`)).value;
  }
  t.is(fs.readFileSync(path.join(output, 'tree', 'a.txt'), 'utf8'), 'text');
});
