// Pace: slow
/** The user's own door over an encrypting client: it keeps nothing in the browser's files, and reports doubts. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Keyring } from '../../../src/crypto/index.js';
import type { History } from '../../../src/history/index.js';
import { serveHere } from '../../helpers/local-door.js';
import { keyringOfPlace } from '../../helpers/damage.js';
import { inlineLab, inlineSystem } from '../../helpers/inline.js';
import { openLied } from '../../helpers/lied-history.js';
import { PASSWORD } from '../../helpers/rewrites.js';
import { file } from '../../helpers/tree.js';
import { InlineJobs } from '../../../src/workers/index.js';
import { pause } from '../../helpers/until.js';

interface Restore {
  readonly id: string;
  readonly state: string;
  readonly doubts: readonly string[];
  readonly failures: readonly { readonly path: string }[];
}

const IDLE_MS = 200;
/** Number of refused requests that take several times as long as the idle time. */
const MOST_REFUSED = 400;

/** Serves an encrypting client; `lies` replaces answers of its store. */
async function served(
  t: ExecutionContext,
  lies: (honest: History, keyring: Keyring) => Partial<History> = () => ({}),
  idleMs = 0,
  more: Parameters<typeof serveHere>[2] = {},
) {
  const { home, place, source, backup } = inlineLab(t, [file('a.txt', 'secret')]);
  const system = inlineSystem();
  await backup({ password: PASSWORD }, system);
  const keyring = (await keyringOfPlace(place))!;
  process.env['XDG_STATE_HOME'] = path.join(home, 'another machine'); // it has seen no set yet
  const history = openLied(place, keyring, (honest) => lies(honest, keyring));
  const { server, base, headers } = await serveHere(t, history, { idleMs, ...more });
  const ask = (url: string, init: RequestInit = {}): Promise<Response> => {
    const sent = new Headers(headers);
    for (const [name, value] of new Headers(init.headers)) sent.set(name, value);
    return fetch(`${base}${url}`, { ...init, headers: sent });
  };
  return { ask, source, home, base, ended: server.ended };
}

const HOW = { overwrite: 'refuse', comparesContents: false, isPreview: false };

/** Restores from set 1, and returns the job once it has ended. */
async function restored(
  ask: (url: string, init?: RequestInit) => Promise<Response>,
  request: object,
): Promise<Restore> {
  const body = JSON.stringify({ client: 'me', set: 1, ...HOW, ...request });
  let job = (await (await ask('/restores', { method: 'POST', body })).json()) as Restore;
  while (job.state === 'running') {
    job = (await (await ask(`/jobs/${job.id}`)).json()) as Restore;
  }
  return job;
}

test.serial('the browser keeps no contents of an encrypting client', async (t) => {
  const { ask, source } = await served(t);
  const url = `/clients/me/sets/1/content?path=${encodeURIComponent(`${source}/a.txt`)}`;
  const answer = await ask(url);
  t.is(await answer.text(), 'secret');
  t.is(answer.headers.get('cache-control'), 'no-store');
  t.is(answer.headers.get('x-tardis-doubts'), null);
});

test.serial(
  'answers that nothing proves are counted, and the session and restores name them',
  async (t) => {
    const { ask, source, home } = await served(t, (honest) => ({
      sets: async () => (await honest.sets()).map((set) => ({ ...set, state: 'unfinished' })),
      seals: async (...page) => ({ ...(await honest.seals(...page)), setSeal: undefined }),
    }));
    const session = async () => (await ask('/session')).json() as Promise<{ doubts: string[] }>;
    t.deepEqual((await session()).doubts, []);
    const url = `/clients/me/sets/1/directory?path=${encodeURIComponent(source)}`;
    const answer = await ask(url);
    t.is(answer.status, 200, await answer.text());
    t.is(answer.headers.get('x-tardis-doubts'), '1');
    const unproven = /set 1 is not complete, so it has no seal/;
    t.regex((await session()).doubts[0]!, unproven);

    const output = path.join(home, 'out');
    const restore = await restored(ask, { paths: [source], output, isPreview: true });
    t.is(restore.state, 'done', JSON.stringify(restore));
    t.regex(restore.doubts[0]!, unproven);
  },
);

test.serial('damaged contents of an encrypting client are marked', async (t) => {
  const { ask, source } = await served(t, () => ({ isDamaged: () => true }));
  const url = `/clients/me/sets/1/entry?path=${encodeURIComponent(`${source}/a.txt`)}`;
  t.like(await (await ask(url)).json(), { name: 'a.txt', isDamaged: true });
});

test.serial('a restore names what the backup of its set could not read', async (t) => {
  const { ask, source, home } = await served(t, (honest, { names }) => ({
    notes: async (set) => {
      const [root] = await honest.roots(set);
      const noted = { directory: root!.directory, what: 'unreadable', reason: names.text('EIO') };
      return ['a.txt', 'never'].map((name) => ({ ...noted, name: names.name(Buffer.from(name)) }));
    },
  }));
  t.deepEqual(await (await ask('/clients/me/sets/1/notes')).json(), {
    notes: ['a.txt', 'never'].map((name) => ({
      path: path.join(source, name),
      what: 'unreadable',
      reason: 'EIO',
    })),
    total: 2,
  });
  const restore = await restored(ask, { paths: [source], output: path.join(home, 'out') });
  const below = path.basename(source);
  t.deepEqual(
    restore.failures.map(({ path: name }) => name),
    [`${below}/a.txt`, `${below}/never`],
    JSON.stringify(restore),
  );
});

test.serial('a restore in place names the whole path of what fails', async (t) => {
  const { ask, source } = await served(t);
  const lost = path.join(source, 'a.txt');
  fs.rmSync(lost);
  fs.mkdirSync(lost);
  fs.writeFileSync(path.join(lost, 'in the way'), '');
  const restore = await restored(ask, { paths: [lost], overwrite: 'always' });
  t.is(restore.failures[0]?.path, lost, JSON.stringify(restore));
});

test.serial('a restore that runs is listed, is the only one, and is stopped', async (t) => {
  const { promise: opened, resolve: open } = Promise.withResolvers<void>();
  const { ask, source, home } = await served(t, undefined, 0, {
    openJobs: async () => {
      await opened;
      return new InlineJobs(inlineSystem());
    },
  });
  const request = { client: 'me', set: 1, paths: [source], output: path.join(home, 'out') };
  const body = JSON.stringify({ ...request, ...HOW });
  const { id } = (await (await ask('/restores', { method: 'POST', body })).json()) as Restore;
  const listed = async () =>
    ((await (await ask('/jobs')).json()) as { jobs: (Restore & { kind: string })[] }).jobs;
  t.like((await listed())[0], { id, kind: 'restore', state: 'running' });
  t.is((await ask('/restores', { method: 'POST', body })).status, 503);
  const etag = (await ask('/clients')).headers.get('etag')!;
  const again = await ask('/clients', { headers: { 'if-none-match': etag } });
  t.is(again.status, 304);
  const stopping = ask(`/jobs/${id}`, { method: 'DELETE', body: '{}' });
  open();
  t.is(((await (await stopping).json()) as Restore).state, 'stopped');
  t.false(fs.existsSync(path.join(home, 'out', path.basename(source), 'a.txt')));
  await ask(`/jobs/${id}`, { method: 'DELETE', body: '{}' }); // forgets it
  t.deepEqual(await listed(), []);
});

test.serial(
  'every route is refused without a login, and to the page of another site',
  async (t) => {
    const { base, ask } = await served(t);
    const { paths } = (await (await ask('/openapi.json')).json()) as {
      paths: Record<string, Record<string, { security: object[] }>>;
    };
    const own = Object.keys(paths);
    for (const route of ['/restores', '/jobs', '/jobs/{id}']) t.true(own.includes(route), route);
    for (const [route, operations] of Object.entries(paths)) {
      const url = `${base}${route.replace('{client}', 'me').replace('{set}', '1').replace('{id}', 'x')}`;
      for (const [method, { security }] of Object.entries(operations)) {
        const status = async (headers: Record<string, string>): Promise<number> =>
          (await fetch(url, { method: method.toUpperCase(), headers })).status;
        const what = `${method} ${route}`;
        const login = { 'x-tardis-page': '1' };
        const alone = await status(login);
        t.true((security.length === 0 ? [200, 400] : [401]).includes(alone), `${what}: ${alone}`);
        t.is(await status({ ...login, origin: 'http://evil.example' }), 403, what);
        t.is(await status({ ...login, 'sec-fetch-site': 'cross-site' }), 403, what);
        if (!['get', 'head'].includes(method)) t.is(await status({}), 403, what);
      }
    }
  },
);

test('requests that are refused do not keep the server from its idle end', async (t) => {
  const { base, ended } = await served(t, undefined, IDLE_MS);
  const state = { hasEnded: false };
  void ended.then(() => {
    state.hasEnded = true;
  });
  let refused = 0;
  while (!state.hasEnded && refused < MOST_REFUSED) {
    const { status } = await fetch(`${base}/clients`, { headers: { 'x-tardis-page': '1' } });
    t.is(status, 401);
    refused += 1;
    await pause(IDLE_MS / 8);
  }
  t.true(state.hasEnded, `${refused} refused requests`);
});
