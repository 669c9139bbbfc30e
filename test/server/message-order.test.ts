/**
 * Messages of a backup that are well formed, but come in another order, twice, or not at all. A session refuses them, or
 * the set shows no more than what came.
 */
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type Entry, EntryType } from '../../src/model/index.js';
import { InlineStorageHost } from '../../src/server/index.js';
import { Codec, createClientDirectory } from '../../src/store/index.js';
import { decodeMessage, HEAD_SAME, NO_HASH, Verdict } from '../../src/transport/index.js';
import { checkInline } from '../helpers/damage.js';
import { PLAIN_SET } from '../helpers/hand-made-peer.js';
import { inlineSystem, type Place, withHistory } from '../helpers/inline.js';
import { contentRecord, sliced } from '../helpers/records.js';
import { entryOf, rowsOf, sha256 } from '../helpers/rows.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { StorageClient } from '../helpers/storage-client.js';

const NOTHING = Buffer.alloc(0);
const ROOT = '/somewhere';
const HASH = sha256('the listing of the root');

const fileOf = (name: string, text: string): Entry =>
  entryOf(name, { sizeBytes: text.length, digest: sha256(text) });
/** Returns an entry as a listing has it. */
const listed = (entry: Entry): Entry => ({ ...entry, digest: undefined });
const directoryOf = (name: string, inode: bigint): Entry =>
  entryOf(name, { type: EntryType.directory, inode });
const recordOf = (text: string): Buffer => {
  const { source, slices } = sliced([Buffer.from(text)]);
  return contentRecord(source, slices[0]!, { codec: Codec.none, level: 0 });
};

/** Messages of one set, in the client's words. */
class Backup {
  readonly session: StorageClient;

  constructor(session: StorageClient) {
    this.session = session;
  }

  open(changes: Partial<typeof PLAIN_SET> = {}): this {
    this.session.send('openSet', { ...PLAIN_SET, ...changes });
    return this;
  }

  /** Declares a directory; below 0 the parent is a root. */
  head(slot: number, entry: Entry, { parent = -1, hash = NO_HASH } = {}): this {
    const rows = rowsOf(entry);
    this.session.send('heads', {
      isQuestion: true,
      slots: [slot],
      parents: [parent],
      rows,
      hashes: hash,
    });
    return this;
  }

  root(hash = NO_HASH): this {
    return this.head(0, directoryOf('root', 4711n), { hash });
  }

  list(slot: number, entries: readonly Entry[], last = true): this {
    this.session.send('listing', { slot, last, rows: rowsOf(...entries.map(listed)) });
    return this;
  }

  /** Sends final rows of a slot, with the records of these texts. */
  parcel(slot: number, entries: readonly Entry[], texts: readonly string[] = []): this {
    const rows = rowsOf(...entries);
    const records = texts.map(recordOf);
    const lengths = records.map(({ length }) => length);
    this.session.send(
      'parcel',
      { slots: [slot], lengths: [rows.length], rows, records: lengths },
      Buffer.concat(records),
    );
    return this;
  }

  done(slot: number, settled = true): this {
    const seals = NOTHING;
    this.session.send('done', { slots: [slot], settled: Buffer.from([settled ? 1 : 0]), seals });
    return this;
  }

  digest(text: string, promise: boolean): this {
    this.session.send('digests', { question: 1, digests: sha256(text), promise });
    return this;
  }

  close(): this {
    this.session.send('closeSet', {
      stats: {},
      seal: NOTHING,
      opened: NOTHING,
      purge: false,
      waits: false,
      runs: [],
    });
    return this;
  }

  /** Ends the session. Returns the code of its failure, if it failed. */
  async end(): Promise<string | undefined> {
    await this.session.handle.end();
    return this.session.failures[0]?.code;
  }

  /** Returns the verdicts about questions, in their order. */
  get verdicts(): number[] {
    return this.answers('verdicts').flatMap((bytes) => [
      ...decodeMessage('verdicts', bytes).head.verdicts,
    ]);
  }

  /** Returns the answers about directories, in their order. */
  get heads(): number[] {
    return this.answers('headsAnswer').flatMap((bytes) => [
      ...decodeMessage('headsAnswer', bytes).head.same,
    ]);
  }

  private answers(name: string): Buffer[] {
    return this.session.answers.filter((_answer, at) => this.session.names[at] === name);
  }
}

async function lab(t: ExecutionContext) {
  const place: Place = { store: path.join(scratchInMemory(t), 'store'), client: 'me' };
  const system = inlineSystem();
  const directory = await createClientDirectory(system, place);
  const host = new InlineStorageHost(system);
  t.teardown(() => host.close());
  const begin = async (): Promise<Backup> =>
    new Backup(await StorageClient.open(host, directory, 'backup'));
  /** Makes a complete set of these files, and returns the code of its failure. */
  const backUp = async (files: Readonly<Record<string, string>>): Promise<string | undefined> => {
    const backup = (await begin()).open().root();
    const entries = Object.entries(files).map(([name, text]) => fileOf(name, text));
    backup.list(0, entries).parcel(0, entries, Object.values(files)).done(0).close();
    return backup.end();
  };
  /** Returns the names in a directory of the newest set, or of this one; undefined if there is none. */
  const names = (set?: number, below = ROOT): Promise<string[] | undefined> =>
    withHistory(place, async (history) => {
      const found = (await history.sets()).find((one) =>
        set === undefined ? one.state === 'complete' : one.set === set,
      );
      const newest =
        set ?? (found === undefined ? undefined : (await history.findSet(undefined)).set);
      if (newest === undefined) return undefined;
      const at = await history.find(Buffer.from(below), newest);
      if (at?.childId === undefined) return undefined;
      const page = { directory: at.childId, set: newest, after: NOTHING, limit: 100 };
      return (await history.list({ ...page, withDigests: false })).map(({ name }) =>
        name.toString(),
      );
    });
  /** Returns the sets in which the stored versions of a path began. */
  const firstSets = (at: string): Promise<number[]> =>
    withHistory(place, async (history) =>
      (await history.versions(Buffer.from(at))).map(({ entry }) => entry.firstSet),
    );
  /** Fails the test if the store is not as it should be. */
  const checkStore = async (): Promise<void> => {
    const { findings } = await checkInline(place);
    t.deepEqual(findings, []);
  };
  return { begin, backUp, names, firstSets, checkStore };
}

test('messages before a set, behind its end, or of a second set beside it are refused', async (t) => {
  const { begin, backUp, names, checkStore } = await lab(t);
  t.is(await backUp({ kept: 'kept' }), undefined);
  const one = fileOf('a', 'a');
  const cases: Readonly<Record<string, (backup: Backup) => Backup>> = {
    'a directory without a set': (backup) => backup.root(),
    'a question without a set': (backup) => backup.digest('a', true),
    'rows without a set': (backup) => backup.parcel(0, [one], ['a']),
    'an end without a set': (backup) => backup.close(),
    'a root that hides another one': (backup) =>
      backup.open({
        paths: ['/./somewhere', '/somewhere/below'].map((root) => Buffer.from(root)),
        rows: Buffer.concat([PLAIN_SET.rows, PLAIN_SET.rows]),
        devices: ['1', '1'],
        empties: Buffer.alloc(2),
      }),
    'two sets at once': (backup) => backup.open().open(),
    'an end twice': (backup) => backup.open().root().list(0, []).done(0).close().close(),
    'rows behind the end': (backup) =>
      backup.open().root().list(0, []).done(0).close().parcel(0, [one], ['a']),
    'rows behind the end, of a directory that was left open': (backup) =>
      backup.open().root().close().parcel(0, [one], ['a']),
    'a listing behind the end': (backup) => backup.open().root().close().list(0, []),
    'a directory behind the end': (backup) =>
      backup.open().root().close().head(1, directoryOf('child', 1n), { parent: 0 }),
    'a question behind the end': (backup) => backup.open().root().close().digest('a', true),
    'a listing before its directory': (backup) => backup.open().list(0, [one]).root(),
    'rows before their directory': (backup) => backup.open().parcel(0, [one], ['a']).root(),
    'a child before its parent': (backup) =>
      backup.open().head(1, directoryOf('child', 1n), { parent: 0 }).root(),
    'a directory below itself': (backup) =>
      backup.open().root().head(1, directoryOf('child', 1n), { parent: 1 }),
    'a directory twice': (backup) => backup.open().root().root(),
    'rows behind the last of a directory': (backup) =>
      backup.open().root().list(0, [one]).done(0).parcel(0, [one], ['a']),
    'the end of a directory twice': (backup) => backup.open().root().done(0).done(0),
    'pages of a listing swapped': (backup) =>
      backup
        .open()
        .root()
        .list(0, [fileOf('z', 'z')], false)
        .list(0, [one], false),
    'a page behind the last one': (backup) =>
      backup
        .open()
        .root()
        .list(0, [one])
        .list(0, [fileOf('z', 'z')], false),
  };
  for (const [what, send] of Object.entries(cases)) {
    t.is(await send(await begin()).end(), 'PROTOCOL_VIOLATION', what);
  }
  const all = await Promise.all([...Array(30).keys()].map((set) => names(set)));
  t.deepEqual(all[1], ['kept'], 'the first set is as it was');
  t.true(
    all.every((one = []) => one.every((name) => name === 'kept')),
    'nothing came in',
  );
  t.is(await backUp({ kept: 'kept', next: 'next' }), undefined, 'the client goes on');
  t.deepEqual(await names(), ['kept', 'next']);
  await checkStore();
});

test('contents may come before or behind the rows that need them, and twice', async (t) => {
  const { begin, names, checkStore } = await lab(t);
  const [one, two, three] = [fileOf('1', 'shared'), fileOf('2', 'shared'), fileOf('3', 'other')];
  const backup = (await begin()).open().root().list(0, [one, two, three]);
  backup.parcel(0, [one, two]); // their content comes later
  backup.parcel(0, [], ['other', 'other']);
  backup.parcel(0, [three], ['shared', 'shared', 'other']).done(0);
  backup.digest('shared', true).digest('other', false).close();
  t.is(await backup.end(), undefined);
  t.deepEqual(backup.verdicts, [Verdict.have, Verdict.have]);
  t.deepEqual(await names(), ['1', '2', '3']);
  await checkStore();
});

test('a set is not complete while a content that a row needs was left out', async (t) => {
  const { begin, backUp, names, checkStore } = await lab(t);
  await backUp({ old: 'old' });
  const missing = fileOf('missing', 'never sent');
  const backup = (await begin()).open().root().list(0, [missing]);
  backup.digest('never sent', true).digest('never sent', true).parcel(0, [missing]).done(0).close();
  t.is(await backup.end(), 'PROTOCOL_VIOLATION');
  t.deepEqual(backup.verdicts, [Verdict.want, Verdict.coming]);
  t.deepEqual(await names(), ['old'], 'the newest complete set is the one before');
  const next = (await begin()).open().root().digest('never sent', true);
  await next.end();
  t.deepEqual(next.verdicts, [Verdict.want], 'a promise ends with its session');
  await checkStore();
});

test('a directory is skipped next time only if all of its rows and contents came', async (t) => {
  const { begin, checkStore } = await lab(t);
  const entry = fileOf('file', 'text');
  const skips = async (): Promise<boolean> => {
    const looking = (await begin()).open().root(HASH);
    await looking.end();
    return looking.heads[0] === HEAD_SAME;
  };
  const begun = async (): Promise<Backup> => (await begin()).open().root(HASH).list(0, [entry]);
  t.is(await (await begun()).parcel(0, [entry]).done(0).end(), undefined);
  t.false(await skips(), 'the content is missing');
  t.is(await (await begun()).parcel(0, [entry], ['text']).end(), undefined);
  t.false(await skips(), 'the end of the directory is missing');
  t.is(await (await begun()).parcel(0, [entry]).done(0, false).end(), undefined);
  t.false(await skips(), 'the client does not rely on it');
  const changed = fileOf('file', 'changed');
  const late = (await begun()).parcel(0, [changed]).done(0).parcel(0, [], ['changed']);
  t.is(await late.end(), undefined);
  t.true(await skips(), 'the content came last');
  t.true(await skips(), 'it is unchanged');
  t.is(await (await begin()).open().root(sha256('other')).list(0, [changed]).end(), undefined);
  t.false(await skips(), 'it changed, and was not ended');
  await checkStore();
});

test('entries that a client leaves out of a listing end, and a listing left out ends nothing', async (t) => {
  const { begin, backUp, names, checkStore } = await lab(t);
  await backUp({ a: 'a', b: 'b', c: 'c' });
  t.is(await (await begin()).open().root().close().end(), undefined);
  t.deepEqual(await names(2), ['a', 'b', 'c'], 'without a listing');
  const [a, c] = [fileOf('a', 'a'), fileOf('c', 'c')];
  t.is(await (await begin()).open().root().list(0, [a], false).done(0).close().end(), undefined);
  t.deepEqual(await names(3), ['a', 'b', 'c'], 'without the last page');
  t.is(await (await begin()).open().root().list(0, [a, c]).done(0).close().end(), undefined);
  t.deepEqual(await names(4), ['a', 'c']);
  t.deepEqual(await names(1), ['a', 'b', 'c'], 'the older set');
  await checkStore();
});

test('a directory without its entry in the parent is not in the set, whatever it contains', async (t) => {
  const { begin, names, firstSets, checkStore } = await lab(t);
  const [seen, hidden] = [directoryOf('seen', 11n), directoryOf('hidden', 12n)];
  const [one, two] = [fileOf('one', 'one'), fileOf('two', 'two')];
  const backup = (await begin()).open().root();
  backup.head(1, seen, { parent: 0 }).list(1, [one]).parcel(1, [one], ['one']).done(1);
  backup.head(2, hidden, { parent: 0 }).list(2, [two]).parcel(2, [two], ['two']).done(2);
  backup.list(0, [seen]).parcel(0, [seen]).done(0).close();
  t.is(await backup.end(), undefined);
  t.deepEqual(await names(), ['seen']);
  t.deepEqual(await names(1, `${ROOT}/seen`), ['one']);
  t.is(await names(1, `${ROOT}/hidden`), undefined);
  const next = (await begin()).open().root().list(0, [hidden, seen]).parcel(0, [hidden]).done(0);
  next.head(1, seen, { parent: 0 }).list(1, [one]).done(1);
  next.head(2, hidden, { parent: 0 }).list(2, [two]).parcel(2, [two]).done(2).close();
  t.is(await next.end(), undefined);
  t.deepEqual(await firstSets(`${ROOT}/seen/one`), [1]);
  t.deepEqual(await firstSets(`${ROOT}/hidden/two`), [2], 'the first set never had it');
  await checkStore();
});

const moving = (name: string, inode: bigint): Entry =>
  entryOf(name, { type: EntryType.directory, inode, birthTimeNs: inode });
const [X, Y] = [moving('x', 1n), moving('y', 2n)];
const [SUB_OF_X, SUB_OF_Y] = [moving('sub', 11n), moving('sub', 21n)];
/** The directories below the root as they are: their slots, the slots of their parents, and what is in them. */
const AS_THEY_ARE = {
  x: [1, 0, X, SUB_OF_X],
  'x/sub': [2, 1, SUB_OF_X, fileOf('in x', 'in x')],
  y: [3, 0, Y, SUB_OF_Y],
  'y/sub': [4, 3, SUB_OF_Y, fileOf('in y', 'in y')],
} as const;
/** The same when `x` was listed while it was exchanged for `y`. */
const EXCHANGED = {
  ...AS_THEY_ARE,
  x: [1, 0, X, SUB_OF_Y],
  'x/sub': [2, 1, SUB_OF_Y, fileOf('in y', 'in y')],
} as const;

/** Backs up some directories, in this order, and lists those that the server does not know as they are. */
async function backUpInOrder(
  backup: Backup,
  tree: typeof AS_THEY_ARE | typeof EXCHANGED,
  order: readonly (keyof typeof AS_THEY_ARE)[],
): Promise<string | undefined> {
  backup.open().root().list(0, [X, Y]).parcel(0, [X, Y]).done(0);
  for (const [met, at] of order.entries()) {
    const [slot, parent, entry, inside] = tree[at];
    const hash = sha256(`${at} ${inside.name.toString()} ${inside.inode}`);
    backup.head(slot, entry, { parent, hash });
    await backup.session.until(() => backup.heads.length === met + 2);
    if (backup.heads[met + 1] === HEAD_SAME) continue;
    const texts = inside.type === EntryType.file ? [inside.name.toString()] : [];
    backup.list(slot, [inside]).parcel(slot, [inside], texts).done(slot);
  }
  return backup.close().end();
}

/** Orders in which a backup meets `x`, exchanged, and `y`, which seems unchanged. */
const ORDERS = [
  ['x', 'x/sub', 'y', 'y/sub'],
  ['y', 'x', 'x/sub', 'y/sub'],
  ['y', 'y/sub', 'x', 'x/sub'],
] as const;

for (const order of ORDERS) {
  test(`a directory that two places show, since their names were exchanged, has one of them: ${order.join(', ')}`, async (t) => {
    const { begin, names, checkStore } = await lab(t);
    t.is(await backUpInOrder(await begin(), AS_THEY_ARE, order), undefined);
    t.is(await backUpInOrder(await begin(), EXCHANGED, order), undefined);
    for (const at of ['x/sub', 'y/sub']) t.deepEqual(await names(2, `${ROOT}/${at}`), ['in y'], at);
    // `y` cannot be read, and keeps what is in it.
    t.is(await backUpInOrder(await begin(), AS_THEY_ARE, ['x', 'x/sub']), undefined);
    t.deepEqual(await names(3, `${ROOT}/x/sub`), ['in x']);
    t.deepEqual(await names(3, `${ROOT}/y/sub`), ['in y']);
    await checkStore();
  });

  test(`a directory comes back from where it was shown while its own place could not be read: ${order.join(', ')}`, async (t) => {
    const { begin, names, checkStore } = await lab(t);
    t.is(await backUpInOrder(await begin(), AS_THEY_ARE, order), undefined);
    t.is(await backUpInOrder(await begin(), EXCHANGED, ['x', 'x/sub']), undefined);
    t.deepEqual(await names(2, `${ROOT}/x/sub`), ['in y']);
    t.is(await backUpInOrder(await begin(), AS_THEY_ARE, order), undefined);
    t.deepEqual(await names(3, `${ROOT}/x/sub`), ['in x']);
    t.deepEqual(await names(3, `${ROOT}/y/sub`), ['in y']);
    await checkStore();
  });
}

test('the entry of a directory may come before its own entries or behind them', async (t) => {
  const { begin, names, checkStore } = await lab(t);
  const [early, late] = [directoryOf('early', 11n), directoryOf('late', 12n)];
  const file = fileOf('file', 'file');
  const backup = (await begin()).open().root().list(0, [early, late]);
  backup.parcel(0, [early]).head(1, early, { parent: 0 }).list(1, [file]);
  backup.head(2, late, { parent: 0 }).parcel(0, [late]).list(2, [file]);
  backup.parcel(1, [file], ['file']).done(1).parcel(2, [file]).done(2).done(0).close();
  t.is(await backup.end(), undefined);
  t.deepEqual(await names(1, `${ROOT}/early`), ['file']);
  t.deepEqual(await names(1, `${ROOT}/late`), ['file']);
  await checkStore();
});

test('two directories that look like one are two, each with its own entries', async (t) => {
  const { begin, names, checkStore } = await lab(t);
  const [one, two] = [directoryOf('one', 11n), directoryOf('two', 11n)];
  const file = fileOf('file', 'file');
  const backup = (await begin()).open().root();
  backup.head(1, one, { parent: 0 }).head(2, two, { parent: 0 });
  backup.list(1, [file]).parcel(1, [file], ['file']).done(1).list(2, []).done(2);
  backup.list(0, [one, two]).parcel(0, [one, two, one]).done(0).close();
  t.is(await backup.end(), undefined);
  t.deepEqual(await names(), ['one', 'two']);
  t.deepEqual(await names(1, `${ROOT}/one`), ['file']);
  t.deepEqual(await names(1, `${ROOT}/two`), []);
  await checkStore();
});

test('a name that is sent twice has the last version, once', async (t) => {
  const { begin, names, checkStore } = await lab(t);
  const [first, second] = [fileOf('name', 'first'), fileOf('name', 'second one')];
  const backup = (await begin()).open().root().list(0, [second]);
  backup.parcel(0, [first], ['first']).parcel(0, [second], ['second one']).parcel(0, [second]);
  t.is(await backup.done(0).close().end(), undefined);
  t.deepEqual(await names(), ['name']);
  await checkStore();
});
