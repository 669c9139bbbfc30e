// Pace: slow
/** A version that is shown can be opened: its set is listed, and has its root. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { openLocalHistory } from '../../../src/history/index.js';
import { nodeSystem } from '../../../src/system/index.js';
import { archiveRoute, Selections, selectionRoute } from '../../../src/web/archive/index.js';
import { serveHere } from '../../helpers/local-door.js';
import { backupInline, inlineLab, inlineSystem } from '../../helpers/inline.js';
import { scratchInMemory } from '../../helpers/scratch.js';
import { file, makeTree } from '../../helpers/tree.js';
import { deleteInline } from '../../helpers/garbage.js';
import { until } from '../../helpers/until.js';

const GONE = 1200;

interface Received {
  readonly status: number;
  readonly body: string;
}

interface Served {
  readonly get: (route: string) => Promise<Received>;
  readonly post: (route: string, body: object) => Promise<Received>;
  readonly reported: string[];
}

async function serve(t: ExecutionContext, store: string): Promise<Served> {
  const history = openLocalHistory(nodeSystem(), { store, client: 'me' });
  const selections = new Selections();
  const reported: string[] = [];
  const { base, headers } = await serveHere(t, history, {
    clients: async () => {
      throw new Error('the clients\u001b[2J are gone');
    },
    added: [archiveRoute({ onError: () => undefined, selections }), selectionRoute(selections)],
    warn: (line) => reported.push(line),
  });
  const ask = async (route: string, init: RequestInit): Promise<Received> => {
    const answer = await fetch(`${base}${route}`, init);
    return { status: answer.status, body: await answer.text() };
  };
  return {
    get: (route) => ask(`/clients/me${route}`, { headers }),
    post: (route, body) => ask(route, { method: 'POST', headers, body: JSON.stringify(body) }),
    reported,
  };
}

test('a content that a check has marked as damaged is one in every list, and no other', async (t) => {
  const { place, source, backup } = inlineLab(t, [file('bad', 'x'), file('good', 'y')]);
  await backup();
  const database = nodeSystem().openDatabase(path.join(place.store, 'me', 'tardis.db'), {
    readonly: false,
  });
  database.exec(`UPDATE contents SET is_damaged = 1
    WHERE content_id = (SELECT content_id FROM entries WHERE name = CAST('bad' AS BLOB))`);
  database.close();
  const { get } = await serve(t, place.store);
  const marksIn = async (route: string): Promise<string[]> => {
    const { body } = await get(route);
    return [...body.matchAll(/"name":"(\w+)"[^{}]*"isDamaged":true/g)].map(([, name]) => name!);
  };
  const [all, bad, good] = ['', '/bad', '/good'].map((one) => encodeURIComponent(source + one));
  t.deepEqual(await marksIn(`/sets/1/directory?path=${all}`), ['bad']);
  t.deepEqual(await marksIn(`/sets/1/entry?path=${bad}`), ['bad']);
  t.deepEqual(await marksIn(`/versions?path=${bad}`), ['bad']);
  t.deepEqual(await marksIn(`/versions?path=${good}`), []);
  t.deepEqual(await marksIn('/search?pattern=*d'), ['bad']);
});

test('versions, searches and deleted names have a listed set that shows them', async (t) => {
  const home = scratchInMemory(t);
  const place = { store: path.join(home, 'store'), client: 'me' };
  const [source, other] = [path.join(home, 'tree'), path.join(home, 'other')];
  makeTree(source, [file('kept', 'x'), file('gone', 'one')]);
  makeTree(other, [file('else', 'x')]);
  const save = (...roots: string[]): Promise<unknown> =>
    backupInline(inlineSystem(), place, roots, { create: !fs.existsSync(place.store) });
  await save(source); // 1
  await save(source); // 2
  fs.writeFileSync(path.join(source, 'later'), 'two');
  await save(source); // 3: will be deleted
  await save(other); // 4: has another root
  fs.rmSync(path.join(source, 'gone'));
  await save(source); // 5
  await save(other); // 6
  await deleteInline(place, [3]);
  const { get } = await serve(t, place.store);
  const json = async <T>(route: string): Promise<T> => {
    const { status, body } = await get(route);
    t.is(status, 200, body);
    return JSON.parse(body) as T;
  };
  const gone = encodeURIComponent(path.join(source, 'gone'));
  interface Versions {
    readonly versions: { readonly set?: number; readonly firstSet: number }[];
  }
  const { versions } = await json<Versions>(`/versions?path=${gone}`);
  t.like(versions, [{ set: 2 }]);
  const later = encodeURIComponent(path.join(source, 'later'));
  t.like((await json<Versions>(`/versions?path=${later}`)).versions, [{ set: 5 }]);
  const { found } = await json<{ found: { set: number }[] }>('/search?pattern=gone');
  t.like(found, [{ set: 2 }]);
  const kept = await json<{ found: { set: number; lastSet?: number }[] }>('/search?pattern=kept');
  t.like(kept.found, [{ set: 5 }]); // set 6 is newer, and has another root
  const { deleted } = await json<{ deleted: { entry: { name: string }; lastSet: number }[] }>(
    `/sets/5/deleted?path=${encodeURIComponent(source)}`,
  );
  t.like(deleted, [{ entry: { name: 'gone' }, lastSet: 2 }]);
  for (const set of [versions[0]!.set, found[0]!.set, deleted[0]!.lastSet]) {
    t.is((await get(`/sets/${set}/content?path=${gone}`)).body, 'one');
  }
  interface Changes {
    readonly from?: number;
    readonly changes: { readonly path: string; readonly kind: string }[];
  }
  const changes = await json<Changes>('/changes?to=5');
  t.is(changes.from, 2);
  t.true(changes.changes.some(({ path: at, kind }) => at.endsWith('/gone') && kind === 'gone'));
  t.deepEqual(await json<Changes>('/changes?to=4'), { changes: [], unread: [] } as object);
});

test('all deleted names of a directory come, page by page', async (t) => {
  const names = Array.from({ length: GONE }, (_, n) => `n${n}`);
  const { place, source, backup } = inlineLab(t, [
    file('a', 'x'),
    ...names.map((name) => file(name, '')),
  ]);
  await backup();
  for (const name of names) fs.rmSync(path.join(source, name));
  await backup();
  const { get } = await serve(t, place.store);
  const found: string[] = [];
  for (let after = ''; ; ) {
    const { body } = await get(`/sets/2/deleted?path=${encodeURIComponent(source)}${after}`);
    const page = JSON.parse(body) as { deleted: { entry: { name: string } }[]; next?: string };
    found.push(...page.deleted.map(({ entry }) => entry.name));
    if (page.next === undefined) break;
    after = `&after=${page.next}`;
  }
  t.deepEqual(found.sort(), names.sort());
});

test('names of a directory are deleted too if another directory of its name is there', async (t) => {
  const home = scratchInMemory(t);
  const place = { store: path.join(home, 'store'), client: 'me' };
  const source = path.join(home, 'tree');
  const [docs, aside] = [path.join(source, 'docs'), path.join(home, 'aside')];
  const system = inlineSystem();
  fs.mkdirSync(source);
  makeTree(docs, [file('early', '1'), file('kept', '2'), file('late', '3')]);
  await backupInline(system, place, [source], { create: true });
  fs.rmSync(path.join(docs, 'early'));
  await backupInline(system, place, [source]);
  fs.renameSync(docs, aside);
  makeTree(docs, [file('new', '4')]);
  execFileSync('cp', ['-a', path.join(aside, 'kept'), docs]);
  await backupInline(system, place, [source]);
  fs.rmSync(path.join(docs, 'new'));
  fs.writeFileSync(path.join(docs, 'early'), 'again');
  await backupInline(system, place, [source]);
  fs.rmSync(path.join(docs, 'early'));
  await backupInline(system, place, [source]);
  const { get } = await serve(t, place.store);
  const deleted = async (set: number): Promise<unknown> => {
    const found: [string, number][] = [];
    for (let after = ''; ; ) {
      const { body } = await get(
        `/sets/${set}/deleted?limit=1&path=${encodeURIComponent(docs)}${after}`,
      );
      const page = JSON.parse(body) as {
        deleted: { entry: { name: string }; lastSet: number }[];
        next?: string;
      };
      found.push(
        ...page.deleted.map(({ entry, lastSet }): [string, number] => [entry.name, lastSet]),
      );
      if (page.next === undefined) return found;
      after = `&after=${page.next}`;
    }
  };
  const kept = await get(`/versions?path=${encodeURIComponent(path.join(docs, 'kept'))}`);
  t.like(JSON.parse(kept.body), { versions: { length: 1, 0: { firstSet: 1, set: 5 } } });
  t.deepEqual(await deleted(2), [['early', 1]]);
  t.deepEqual(await deleted(3), [
    ['early', 1],
    ['late', 2],
  ]);
  t.deepEqual(await deleted(4), [
    ['new', 3],
    ['late', 2],
  ]);
  t.deepEqual(await deleted(5), [
    ['early', 4],
    ['new', 3],
    ['late', 2],
  ]);
});

test('an archive and a restore take more paths than an address has room for', async (t) => {
  const names = Array.from({ length: GONE }, (_, n) => `${'long '.repeat(20)}${n}`);
  const { home, place, source, backup } = inlineLab(
    t,
    names.map((name) => file(name, 'x')),
  );
  await backup();
  const { get, post } = await serve(t, place.store);
  const paths = names.map((name) =>
    path.join(source, name).split('/').map(encodeURIComponent).join('/'),
  );
  const kept = await post('/clients/me/selections', { paths });
  t.is(kept.status, 200, kept.body);
  const { selection } = JSON.parse(kept.body) as { selection: string };
  const archive = await get(`/sets/1/archive?format=tar&selection=${selection}`);
  t.is(archive.status, 200);
  t.true(names.every((name) => archive.body.includes(name)));
  t.is((await get('/sets/1/archive?format=tar&selection=another')).status, 400);
  t.is((await post('/clients/me/selections', { paths: ['relative'] })).status, 400);
  t.is((await post('/clients/me/selections', { paths: [`${source}/../x`] })).status, 400);

  const output = path.join(home, 'out');
  const how = { overwrite: 'refuse', comparesContents: false, isPreview: false };
  const started = await post('/restores', { client: 'me', set: 1, paths, output, ...how });
  t.is(started.status, 200, started.body);
  const isDone = (): boolean =>
    fs.existsSync(output) && fs.readdirSync(output).length === names.length;
  await until(isDone);
  t.true(names.every((name) => fs.existsSync(path.join(output, name))));
});

test('what the terminal shows of a failed request has no control characters', async (t) => {
  const { place, backup } = inlineLab(t, [file('a', 'x')]);
  await backup();
  const { reported, get } = await serve(t, place.store);
  t.is((await get('/../../clients')).status, 500);
  t.is(reported.length, 1);
  t.regex(reported[0]!, /the clients.*are gone/);
  t.false(reported[0]!.includes('\u001b'), reported[0]);
});
