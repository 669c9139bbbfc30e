/** The user's own door over an encrypting client: it keeps nothing in the browser's files. */
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { History } from '../../../src/history/index.js';
import { serveLocally } from '../../../src/web/local/index.js';
import { InlineJobs } from '../../../src/workers/index.js';
import { keyringOfPlace } from '../../helpers/damage.js';
import { backupInline, inlineSystem } from '../../helpers/inline.js';
import { openLied } from '../../helpers/lied-history.js';
import { PASSWORD } from '../../helpers/rekeys.js';
import { file, makeTree, scratch } from '../../helpers/tree.js';

/** Serves an encrypting client; `lies` replaces answers of its store. */
async function served(
  t: ExecutionContext,
  lies: (honest: History) => Partial<History> = () => ({}),
) {
  const home = scratch(t);
  const place = { store: path.join(home, 'store'), client: 'me' };
  const source = path.join(home, 'tree');
  makeTree(source, [file('a.txt', 'secret')]);
  const system = inlineSystem();
  await backupInline(system, place, [source], { create: true, password: PASSWORD });
  const keyring = (await keyringOfPlace(place))!;
  process.env['XDG_STATE_HOME'] = path.join(home, 'another machine'); // it has seen no set yet
  const history = openLied(place, keyring, lies);
  const server = await serveLocally({
    system,
    history,
    jobs: new InlineJobs(system),
    workers: 1,
    port: 0,
    idleMs: 0,
    readPage: () => Buffer.alloc(0),
    clients: async () => [],
    tell: () => undefined,
  });
  t.teardown(async () => {
    await server.close();
    history.close();
  });
  const base = `http://127.0.0.1:${server.port}/api/v1`;
  const headers = {
    authorization: `Bearer ${server.programKey}`,
    'x-tardis-page': '1',
    'content-type': 'application/json',
  };
  const ask = (url: string, init: RequestInit = {}): Promise<Response> =>
    fetch(`${base}${url}`, { ...init, headers });
  return { ask, source, home };
}

test.serial('the browser keeps no contents of an encrypting client', async (t) => {
  const { ask, source } = await served(t);
  const url = `/clients/me/sets/1/content?path=${encodeURIComponent(`${source}/a.txt`)}`;
  const answer = await ask(url);
  t.is(await answer.text(), 'secret');
  t.is(answer.headers.get('cache-control'), 'no-store');
});
