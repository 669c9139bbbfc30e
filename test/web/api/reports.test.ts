// Pace: slow
import type { ExecutionContext } from 'ava';
import anyTest, { type TestFn } from 'ava';
import path from 'node:path';
import {
  COMPLETE,
  type HistoryLab,
  makeHistoryLab,
  MANY,
  openHere,
  openThere,
  removeHistoryLab,
} from '../../helpers/history-lab.js';
import { giveToken, openGateway, startOverTls } from '../../helpers/web-gateway.js';
import { makeWebLab, type WebLab } from '../../helpers/web-lab.js';

const test = anyTest as TestFn<undefined>;
const ALL = { authorization: 'Bearer me:all' };

let labs: Readonly<Record<string, HistoryLab>>;
let webs: Readonly<Record<string, Pick<WebLab, 'app' | 'close'>>>;
let token: string;

test.before(async () => {
  const [plain, sealed] = [await makeHistoryLab(false), await makeHistoryLab(true)];
  labs = { local: plain, remote: plain, unsealed: sealed, gateway: plain };
  const server = await startOverTls(plain.home, plain.place.store);
  const gateway = await openGateway(server);
  token = await giveToken(plain.place, 'reader', ['list']);
  webs = {
    local: await makeWebLab('me', () => openHere(plain, 'me')),
    remote: await makeWebLab('me', () => openThere(plain, 'me')),
    unsealed: await makeWebLab('me', () => openHere(sealed, 'me')),
    gateway: {
      app: gateway.app,
      close: async () => {
        await gateway.close();
        await server.stop();
      },
    },
  };
});
test.after.always(async () => {
  for (const web of Object.values(webs)) await web.close();
  for (const lab of new Set(Object.values(labs))) await removeHistoryLab(lab);
});

async function json<T>(t: ExecutionContext, way: string, url: string): Promise<T> {
  const headers = way === 'gateway' ? { authorization: `Bearer ${token}` } : ALL;
  const request = { method: 'GET', url: `/api/v1/clients/me/${url}`, headers } as const;
  const answer = await webs[way]!.app.inject(request);
  t.is(answer.statusCode, 200, answer.body);
  return answer.json();
}

interface FoundPage {
  readonly found: { path: string; firstSet: number; lastSet?: number }[];
  readonly next?: string;
}

/** Returns all that a search finds, page by page. */
async function search(
  t: ExecutionContext,
  way: string,
  query: string,
): Promise<FoundPage['found']> {
  const all: FoundPage['found'] = [];
  for (let after = ''; ; ) {
    const page: FoundPage = await json(t, way, `search?${query}${after}`);
    all.push(...page.found);
    if (page.next === undefined) return all;
    after = `&after=${encodeURIComponent(page.next)}`;
  }
}

type Sums = Awaited<ReturnType<typeof sumsBelow>>;

/** Adds up what the listings of a directory, and of all below it, show. New is what set 1 does not have. */
async function sumsBelow(t: ExecutionContext, way: string, at: string, set: number) {
  interface Listed {
    readonly entries: { name: string; type: string; sizeBytes: number; firstSet: number }[];
  }
  let [files, bytes, newBytes] = [0, 0, 0];
  const url = `sets/${set}/directory?limit=10000&path=${encodeURIComponent(at)}`;
  for (const { name, type, sizeBytes, firstSet } of (await json<Listed>(t, way, url)).entries) {
    if (type === 'directory') {
      const below = await sumsBelow(t, way, path.join(at, name), set);
      files += below.files;
      bytes += below.bytes;
      newBytes += below.newBytes;
    } else if (type === 'file') {
      files += 1;
      bytes += sizeBytes;
      if (firstSet > 1) newBytes += sizeBytes;
    }
  }
  return { files, bytes, newBytes };
}

test('a pattern with too many wildcards is refused', async (t) => {
  const pattern = encodeURIComponent('*[a]'.repeat(16));
  t.deepEqual(await search(t, 'local', `pattern=${pattern}`), []);
  const url = `/api/v1/clients/me/search?pattern=${pattern}*`;
  const { statusCode } = await webs['local']!.app.inject({ method: 'GET', url, headers: ALL });
  t.is(statusCode, 400);
});

for (const way of ['local', 'remote', 'unsealed', 'gateway']) {
  test(`${way}: a search finds names in all sets, in one, and deleted ones`, async (t) => {
    const { source } = labs[way]!;
    const many = await search(t, way, 'pattern=f0*&limit=7');
    t.is(many.length, 100);
    t.is(new Set(many.map(({ path }) => path)).size, 100);
    const all = await search(t, way, 'pattern=f*');
    t.is(all.length, MANY);
    const gone = await search(t, way, 'pattern=deleted');
    t.deepEqual(
      gone.map(({ path, lastSet }) => [path, lastSet]),
      [[path.join(source, 'docs', 'deleted'), 2]],
    );
    t.deepEqual(await search(t, way, 'pattern=deleted&set=latest'), []);
    t.is((await search(t, way, 'pattern=deleted&set=1')).length, 1);
    t.is((await search(t, way, 'pattern=docs/chan*')).length, 1);
    t.deepEqual(await search(t, way, 'pattern=nothing-has-this-name'), []);
    const roots = await search(t, way, 'pattern=tree');
    t.true(roots.some((found) => found.path === source));
  });

  test(`${way}: the differences of two sets are those of the trees, in pages too`, async (t) => {
    const { source } = labs[way]!;
    interface Page {
      readonly changes: { path: string; kind: string; aspects: string[] }[];
      readonly next?: string;
    }
    const whole: Page = await json(t, way, 'changes?from=2&to=3');
    const kinds = new Map(whole.changes.map(({ path, kind }) => [path, kind]));
    t.is(kinds.get(path.join(source, 'docs', 'deleted')), 'gone');
    t.is(kinds.get(path.join(source, 'docs', 'moved')), 'new');
    t.is(kinds.get(path.join(source, 'moves')), 'gone');
    t.is(whole.next, undefined);
    const paged: string[] = [];
    for (let after = ''; ; ) {
      const page: Page = await json(t, way, `changes?from=2&to=3&limit=1${after}`);
      paged.push(...page.changes.map(({ path }) => path));
      if (page.next === undefined) break;
      after = `&after=${page.next}`;
    }
    t.deepEqual(paged, [...kinds.keys()]);
    const below: Page = await json(
      t,
      way,
      `changes?from=1&to=2&path=${encodeURIComponent(path.join(source, 'large'))}`,
    );
    t.deepEqual(
      below.changes.map(({ kind, aspects }) => [kind, aspects.includes('content')]),
      [['changed', true]],
    );
  });

  test(`${way}: the sizes of directories are the sums of what is listed below them`, async (t) => {
    const { source } = labs[way]!;
    interface Page {
      readonly isCounted: boolean;
      readonly sizes?: Sums;
      readonly directories: ({ path: string } & Sums)[];
      readonly more: number;
    }
    const ask = (at: string, query = ''): Promise<Page> =>
      json(t, way, `sets/3/sizes?since=1&path=${encodeURIComponent(at)}${query}`);
    const { isCounted, sizes, directories } = await ask(source);
    t.true(isCounted);
    const [now, before] = [await sumsBelow(t, way, source, 3), await sumsBelow(t, way, source, 1)];
    t.deepEqual(sizes, { ...now, earlierBytes: before.bytes });
    t.true(now.newBytes > 0 && now.newBytes < now.bytes);
    t.true(directories.length > 2);
    for (const { path: at, ...sums } of directories) {
      const { files, bytes, newBytes } = await sumsBelow(t, way, at, 3);
      t.deepEqual([sums.files, sums.bytes, sums.newBytes], [files, bytes, newBytes], at);
    }
    const bySize = directories.map(({ bytes }) => bytes);
    t.deepEqual(
      bySize,
      bySize.toSorted((one, other) => other - one),
    );
    const first = await ask(source, '&limit=1&by=newBytes');
    t.is(first.more, directories.length - 1);
    t.is(first.directories[0]?.newBytes, Math.max(...directories.map(({ newBytes }) => newBytes)));
    // Above the roots, the roots are shown.
    const above = await ask(path.dirname(source));
    t.is(above.sizes, undefined);
    t.deepEqual(above.directories.find((one) => one.path === source)?.bytes, now.bytes);
  });

  test(`${way}: space has a figure for each set, and those of the client`, async (t) => {
    const { sets, figures } = await json<{
      sets: { set: number; storedBytes: number }[];
      figures: Record<string, number>;
    }>(t, way, 'space');
    t.deepEqual(
      sets.map(({ set }) => set),
      [...COMPLETE, 7],
    );
    t.true(sets[0]!.storedBytes > 0);
    t.true(figures['packBytes']! > 0);
  });

  test(`${way}: a purge is previewed by rules, with reasons, and deletes nothing`, async (t) => {
    const { sets } = await json<{
      sets: { set: number; isDeleted: boolean; reasons: { why: string }[] }[];
    }>(t, way, 'purge?keepLast=1');
    const fates = new Map(sets.map(({ set, isDeleted }) => [set, isDeleted]));
    t.is(fates.get(1), true);
    t.is(fates.get(2), false); // it is locked
    t.is(fates.get(6), false);
    t.true(sets.every(({ isDeleted, reasons }) => isDeleted === (reasons.length === 0)));
    const { sets: still } = await json<{ sets: object[] }>(t, way, 'sets');
    t.is(still.length, COMPLETE.length + 1);
    const young = await json<{ sets: { isDeleted: boolean }[]; stored: object }>(
      t,
      way,
      'purge?keepWithin=2d&keepTags=a%2Cb&keepPeriods=0%20180%2030',
    );
    t.true(young.sets.every(({ isDeleted }) => !isDeleted));
    t.deepEqual(young.stored, { KeepDaily: '7' });
    const none = await json<{ sets: { isDeleted: boolean }[] }>(t, way, 'purge');
    t.true(none.sets.every(({ isDeleted }) => !isDeleted));
  });
}
