/** Patterns of lstardis, which match the paths of a set as a shell matches those of a disk. */
import test from 'ava';
import type { History, HistoryEntry } from '../../src/history/index.js';
import { matchingPaths } from '../../src/tools/index.js';
import { rejectedCode } from '../helpers/codes.js';

type ListingPage = Parameters<History['list']>[0];

/** Directories end in a slash. The children of `closed/` may not be read, but those whose names are known are found. */
const PATHS = [
  '/home/me/',
  '/home/me/a.txt',
  '/home/me/b.txt',
  '/home/me/.hidden',
  '/home/me/[x]',
  '/home/me/sub/',
  '/home/me/sub/c.txt',
  '/home/me/closed/',
  '/home/me/closed/d.txt',
  '/srv/',
  '/srv/c.txt',
];
const BARE = PATHS.map((path) => path.replace(/\/$/, ''));

class FakeHistory {
  lists = 0;
  readonly access = { mayRead: ({ name }: HistoryEntry) => name.toString() !== 'closed' };
  private readonly paths: readonly string[];

  constructor(paths: readonly string[] = BARE) {
    this.paths = paths;
  }

  async roots(): Promise<unknown[]> {
    return ['/home/me', '/srv'].map((path) => ({ path: Buffer.from(path) }));
  }

  async find(path: Buffer): Promise<HistoryEntry | undefined> {
    return this.entryAt(path.toString());
  }

  async list({ directory, after, limit }: ListingPage): Promise<HistoryEntry[]> {
    this.lists += 1;
    const above = `${this.paths[directory]!}/`;
    return this.paths
      .filter((path) => path.startsWith(above) && !path.slice(above.length).includes('/'))
      .map((path) => this.entryAt(path)!)
      .sort((one, other) => Buffer.compare(one.name, other.name))
      .filter(({ name }) => Buffer.compare(name, after) > 0)
      .slice(0, limit);
  }

  private entryAt(path: string): HistoryEntry | undefined {
    const index = this.paths.indexOf(path);
    if (index < 0) return undefined;
    const isDirectory = this.paths.some((one) => one.startsWith(`${path}/`));
    const name = Buffer.from(path.slice(path.lastIndexOf('/') + 1));
    return { name, childId: isDirectory ? index : undefined } as unknown as HistoryEntry;
  }
}

async function matches(pattern: string, fake = new FakeHistory()): Promise<string[]> {
  const history = fake as unknown as History;
  const found = await matchingPaths(history, 1, Buffer.from(pattern));
  return found.map(String);
}

test('a wildcard matches within one component, in order', async (t) => {
  t.deepEqual(await matches('/home/me/*.txt'), ['/home/me/a.txt', '/home/me/b.txt']);
  t.deepEqual(await matches('/home/me/?.txt'), ['/home/me/a.txt', '/home/me/b.txt']);
  t.deepEqual(await matches('/home/me/s*/*'), ['/home/me/sub/c.txt']);
  t.deepEqual(await matches('/*/me/[b-z].txt'), ['/home/me/b.txt']);
});

test('a hidden name is matched only by a pattern that begins with a dot', async (t) => {
  t.false((await matches('/home/me/*')).includes('/home/me/.hidden'));
  t.deepEqual(await matches('/home/me/.h*'), ['/home/me/.hidden']);
  t.is(await rejectedCode(matches('/home/me/?hidden')), 'NO_SUCH_PATH');
});

test('a wildcard in a name can be escaped', async (t) => {
  t.deepEqual(await matches('/home/me/\\[x\\]'), ['/home/me/[x]']);
  t.deepEqual(await matches('/home/me/a\\.txt'), ['/home/me/a.txt']);
});

test('roots are matched, too, and a pattern above them matches nothing', async (t) => {
  t.deepEqual(await matches('/s*'), ['/srv']);
  t.deepEqual(await matches('/*/c.txt'), ['/srv/c.txt']);
  for (const pattern of ['/*', '/ho*']) {
    const found = await matches(pattern).catch((): string[] => []);
    t.false(found.includes('/home'), pattern);
  }
  t.is(await rejectedCode(matches('/none/*')), 'NO_SUCH_PATH');
});

test('a directory that may not be read is not listed, but a known name in it is found', async (t) => {
  t.is(await rejectedCode(matches('/home/me/closed/*')), 'NO_SUCH_PATH');
  t.deepEqual(await matches('/home/me/clo*/d.txt'), ['/home/me/closed/d.txt']);
});

test('a large directory is listed page by page, and a name without a wildcard lists nothing', async (t) => {
  const names = Array.from({ length: 1100 }, (_none, at) => `/srv/f${String(at).padStart(5, '0')}`);
  const fake = new FakeHistory([...BARE, ...names]);
  t.is((await matches('/srv/f*', fake)).length, names.length);
  t.is(fake.lists, 2);
  const one = new FakeHistory();
  t.deepEqual(await matches('/home/me/sub/c.txt', one), ['/home/me/sub/c.txt']);
  t.is(one.lists, 0);
});
