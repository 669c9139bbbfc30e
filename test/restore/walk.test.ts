/** The walk of a restore through a set, over fake histories, hostile ones too. */
import test from 'ava';
import { TardisError, type WireError } from '../../src/errors/index.js';
import type { History, HistoryEntry } from '../../src/history/index.js';
import { EntryType, METADATA_FLAGS_AT, RowFlag } from '../../src/model/index.js';
import {
  type DirectoryFacts,
  OutputDirectory,
  PAGE_ENTRIES,
  type PathFilter,
  type Selection,
  TreeWalk,
  type WalkVisitor,
} from '../../src/restore/index.js';
import { rejectedCode } from '../helpers/codes.js';

const SET = 7 as Selection['set'];
const bytes = (text: string): Buffer => Buffer.from(text);

/** A file of the fake set, or a directory with its names. */
interface Node {
  readonly names?: ReadonlyMap<string, Node>;
  /** Fields of the entry that differ from the usual ones. */
  readonly as?: Partial<HistoryEntry>;
  readonly isOtherDevice?: boolean;
  readonly isForbidden?: boolean;
  /** The error of listing this directory. */
  readonly fails?: Error;
}

const file = (more: Omit<Node, 'names'> = {}): Node => more;
const dir = (names: Readonly<Record<string, Node>> = {}, more: Omit<Node, 'names'> = {}): Node => ({
  names: new Map(Object.entries(names)),
  ...more,
});

/** A history of one set, whose roots are the names at its top. */
class FakeHistory {
  readonly isRemote = false;
  readonly lists: number[] = [];
  private readonly ids = new Map<Node, number>();
  private readonly nodes: Node[] = [];
  private readonly forbidden = new Set<HistoryEntry>();
  private readonly top: ReadonlyMap<string, Node>;
  readonly access = { mayRead: (entry: HistoryEntry) => !this.forbidden.has(entry) };

  constructor(top: Readonly<Record<string, Node>>) {
    this.top = new Map(Object.entries(top));
  }

  async roots(): Promise<unknown[]> {
    return [...this.top].map(([name, node], at) => ({
      root: at + 1,
      path: bytes(name),
      directory: this.idOf(node),
      device: `${at}`,
    }));
  }

  async sets(): Promise<unknown[]> {
    return [];
  }

  async notes(): Promise<[]> {
    return [];
  }

  async find(path: Buffer): Promise<HistoryEntry | undefined> {
    const [root] = [...this.top].filter(([name]) => `${path.toString()}/`.startsWith(`${name}/`));
    if (root === undefined) return undefined;
    let node: Node | undefined = root[1];
    const rest = path.toString().slice(root[0].length).split('/').filter(Boolean);
    for (const name of rest) node = node?.names?.get(name);
    return node && this.entryOf(path.toString().split('/').at(-1)!, node);
  }

  async list({ directory, after, limit }: { directory: number; after: Buffer; limit: number }) {
    this.lists.push(directory);
    const { names, fails } = this.nodes[directory - 1]!;
    if (fails !== undefined) throw fails;
    const sorted = [...names!].sort(([one], [other]) => bytes(one).compare(bytes(other)));
    const later = sorted.filter(([name]) => bytes(name).compare(after) > 0);
    return later.slice(0, limit).map(([name, node]) => this.entryOf(name, node));
  }

  private idOf(node: Node): number {
    const known = this.ids.get(node) ?? this.nodes.push(node);
    this.ids.set(node, known);
    return known;
  }

  private entryOf(name: string, node: Node): HistoryEntry {
    const metadata = Buffer.alloc(64);
    if (node.isOtherDevice === true) metadata[METADATA_FLAGS_AT] = RowFlag.otherDevice;
    const isDirectory = node.names !== undefined;
    const entry = {
      name: bytes(name),
      type: isDirectory ? EntryType.directory : EntryType.file,
      childId: isDirectory ? this.idOf(node) : undefined,
      metadata,
      ...node.as,
    } as unknown as HistoryEntry;
    if (node.isForbidden === true) this.forbidden.add(entry);
    return entry;
  }
}

/** A visitor that notes the calls. */
class Noting implements WalkVisitor<OutputDirectory> {
  readonly calls: string[] = [];
  readonly devices = new Map<string, string>();
  breaths = 0;
  private readonly skipped: readonly string[];

  /** `skipped`: names of directories whose entries are not to be visited. */
  constructor(skipped: readonly string[] = []) {
    this.skipped = skipped;
  }

  directory(plain: DirectoryFacts): OutputDirectory {
    return new OutputDirectory(plain);
  }

  visit({ directory, name, device }: Parameters<WalkVisitor<OutputDirectory>['visit']>[0]) {
    const full = `${directory.path.toString()}/${name.toString()}`;
    this.devices.set(full, device);
    this.calls.push(full);
    return !this.skipped.includes(name.toString());
  }

  enter({ path }: OutputDirectory): void {
    this.calls.push(`in ${path.toString()}`);
  }

  leftOut(): void {
    this.calls.push('left out');
  }

  failed(path: Buffer, error: WireError | Error): void {
    this.calls.push(`${path.toString()}: ${'code' in error ? error.code : error.name}`);
  }

  async breathe(): Promise<void> {
    this.breaths += 1;
  }
}

type Request = Omit<Selection, 'set' | 'paths'> & { readonly paths: readonly string[] };

async function begin(
  history: FakeHistory,
  { paths, ...more }: Request,
  visitor: WalkVisitor<OutputDirectory> = new Noting(),
): Promise<TreeWalk<OutputDirectory>> {
  const selection = { set: SET, paths: paths.map(bytes), ...more };
  return TreeWalk.over(history as unknown as History, selection, visitor);
}

/** More pages than any tree of these tests has. */
const MOST_PAGES = 100;

/** Walks to the end, and returns the calls. */
async function walked(
  history: FakeHistory,
  request: Request,
  visitor = new Noting(),
): Promise<string[]> {
  let pages = 0;
  for await (const _page of (await begin(history, request, visitor)).run()) {
    pages += 1;
    if (pages > MOST_PAGES) throw new Error('the walk does not end');
  }
  return visitor.calls;
}

const TREE = { '/home/me': dir({ b: dir({ x: file() }), a: file(), c: dir(), d: file() }) };

test('a directory is visited before its entries, those in the order of the catalog', async (t) => {
  t.deepEqual(await walked(new FakeHistory(TREE), { paths: ['/home/me'] }), [
    '/me',
    'in me',
    'me/a',
    'me/b',
    'me/c',
    'me/d',
    'in me/b',
    'me/b/x',
    'in me/c',
  ]);
});

test('several paths are walked one after the other, each under its own name', async (t) => {
  const paths = ['/home/me/d', '/home/me/b', '/home/me/d'];
  t.deepEqual(await walked(new FakeHistory(TREE), { paths }), ['/b', '/d', 'in b', 'b/x']);
});

test('with the hierarchy, paths keep what is above them, and none is walked twice', async (t) => {
  const paths = ['/home/me/b', '/home/me/d', '/home/me/b/x'];
  t.deepEqual(await walked(new FakeHistory(TREE), { paths, hierarchy: true }), [
    'home/me/d',
    'home/me/b',
    'in home/me/b',
    'home/me/b/x',
  ]);
});

test('directories are restored without entries if these were not requested, or are skipped', async (t) => {
  const request = { paths: ['/home/me'] };
  const alone = await walked(new FakeHistory(TREE), { ...request, recurse: false });
  t.deepEqual(alone, ['/me', 'in me']);
  const skipped = await walked(new FakeHistory(TREE), request, new Noting(['b']));
  t.false(skipped.includes('me/b/x'));
  t.true(skipped.includes('me/d'));
});

test('the filter sees the paths of the backup; what is only passed is not visited', async (t) => {
  const seen: string[] = [];
  const filter: PathFilter = {
    verdict(directory, name, isDirectory, isInside) {
      seen.push(`${directory.toString()}/${name.toString()} ${isDirectory} ${isInside}`);
      if (name.toString() === 'd') return 'out';
      return isInside || name.toString() === 'b' ? 'in' : isDirectory ? 'through' : 'out';
    },
  };
  const calls = await walked(new FakeHistory(TREE), { paths: ['/home/me'], filter });
  t.deepEqual(calls, ['in me', 'left out', 'me/b', 'left out', 'in me/b', 'me/b/x', 'in me/c']);
  t.true(seen.includes('/home/me true false'));
  t.true(seen.includes('/home/me/b/x false true'), 'all in an included directory is inside');
});

test('what is not there, or not to be read, is refused before anything is visited', async (t) => {
  const history = new FakeHistory({ '/home/me': dir({ secret: file({ isForbidden: true }) }) });
  const code = (request: Request): Promise<unknown> => rejectedCode(begin(history, request));
  t.is(await code({ paths: ['/home/me', '/home/me/none'] }), 'NO_SUCH_PATH');
  t.is(await code({ paths: ['/etc'] }), 'NO_SUCH_PATH');
  t.is(await code({ paths: ['/home/me/../me'] }), 'NO_SUCH_PATH');
  t.is(await code({ paths: ['/home/me/secret'] }), 'NO_ACCESS');
  t.is(await code({ paths: ['/home/me', '/etc/me'] }), 'USAGE', 'one name for two paths');
  t.deepEqual(history.lists, []);
});

test('an entry that may not be read is reported below what was requested, and not entered', async (t) => {
  const history = new FakeHistory({
    '/r': dir({
      a: dir({ x: file() }, { isForbidden: true }),
      b: file({ isForbidden: true }),
      c: file(),
    }),
  });
  const calls = await walked(history, { paths: ['/r'] });
  t.deepEqual(calls, ['/r', 'in r', 'r/a: NO_ACCESS', 'r/b: NO_ACCESS', 'r/c']);
});

test('a hostile store cannot make a name a path', async (t) => {
  for (const name of ['..', '.', '', 'a/b', '/etc/passwd', 'a\0b']) {
    const history = new FakeHistory({ '/r': dir({ z: file({ as: { name: bytes(name) } }) }) });
    const calls = await walked(history, { paths: ['/r'] });
    t.is(calls.length, 3, name);
    t.true(calls[2]!.endsWith(': RECORD_DAMAGED'), name);
  }
});

test('a directory that lies in itself is reported once, and the walk ends', async (t) => {
  for (const depth of [1, 2, 3]) {
    const names = new Map<string, Node>();
    const top: Node = { names };
    let below: Node = top;
    for (let at = 1; at < depth; at += 1) below = { names: new Map([['d', below]]) };
    names.set('d', below).set('z', file());
    const calls = await walked(new FakeHistory({ '/r': top }), { paths: ['/r'] });
    t.is(calls.filter((call) => call.endsWith(': CATALOG_DAMAGED')).length, 1, `${depth}`);
    t.true(calls.includes('r/z'));
  }
});

test('a damaged entry is reported, and so is a damaged listing; the rest is walked', async (t) => {
  const damage = new TardisError('CATALOG_DAMAGED', 'damaged');
  for (const code of ['NOT_AUTHENTIC', 'RECORD_DAMAGED', 'CATALOG_DAMAGED'] as const) {
    const fails = new TardisError(code, 'damaged');
    const history = new FakeHistory({
      '/r': dir({ a: dir({ x: file() }, { as: { damage } }), b: dir({}, { fails }), c: file() }),
    });
    t.deepEqual(await walked(history, { paths: ['/r'] }), [
      '/r',
      'in r',
      'r/a: CATALOG_DAMAGED',
      'r/b',
      'r/c',
      'in r/b',
      `r/b: ${code}`,
    ]);
  }
});

test('any other error of a listing ends the walk', async (t) => {
  for (const fails of [
    new TardisError('CONNECTION_LOST', 'lost'),
    Object.assign(new Error('EIO'), { code: 'EIO' }),
    new TypeError('a bug'),
  ]) {
    const history = new FakeHistory({
      '/r': dir({ a: dir({}, { fails }), b: dir({ x: file() }) }),
    });
    const error = await t.throwsAsync(walked(history, { paths: ['/r'] }));
    t.is(error, fails);
  }
});

test('a directory of several pages is walked to its end, a page at a time', async (t) => {
  const count = 2 * PAGE_ENTRIES;
  const names = Array.from({ length: count }, (_none, at) => [`n${at}`, file()] as const);
  const visitor = new Noting();
  const walk = await begin(
    new FakeHistory({ '/r': dir(Object.fromEntries(names)) }),
    { paths: ['/r'] },
    visitor,
  );
  const lengths: number[] = [];
  for await (const _page of walk.run()) lengths.push(visitor.calls.length - 2);
  t.deepEqual(lengths, [PAGE_ENTRIES, count, count], 'a full page may be the last one');
  t.is(new Set(visitor.calls).size, count + 2);
  t.is(visitor.breaths, 3);
});

test('an abort ends the walk before the next page', async (t) => {
  const history = new FakeHistory(TREE);
  const abort = new AbortController();
  const walk = await begin(history, { paths: ['/home/me'] });
  const pages = walk.run(abort.signal);
  await pages.next();
  abort.abort();
  t.is(await rejectedCode(pages.next()), 'INTERRUPTED');
  t.is(history.lists.length, 1);
});

test('entries have the device of their root, or of the mounted directory above them', async (t) => {
  const mounted = dir({ x: file(), in: dir({ y: file() }) }, { isOtherDevice: true });
  const history = new FakeHistory({
    '/one': dir({ m: mounted, f: file() }),
    '/two': dir({ g: file() }),
  });
  const visitor = new Noting();
  await walked(history, { paths: ['/one', '/two', '/one/m/in'] }, visitor);
  const { devices } = visitor;
  t.is(devices.get('one/f'), 'device 0');
  t.is(devices.get('two/g'), 'device 1');
  const inMounted = devices.get('one/m/x')!;
  t.regex(inMounted, /^directory \d+$/);
  t.is(devices.get('one/m/in/y'), inMounted);
  t.is(devices.get('in/y'), inMounted, 'a path of its own is on the same device');
  t.is(devices.get('one/m'), 'device 0', 'the directory itself counts as on the outer one');
});
