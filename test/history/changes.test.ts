// Pace: slow
/**
 * Reports of the changes of sets agree with the listings of those sets, for a local store and for an encrypting client
 * through a server.
 */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  Access,
  type History,
  type HistoryEntry,
  FIRST_PLACE,
  openLocalHistory,
  type RootRecord,
} from '../../src/history/index.js';
import { openRemoteHistory } from '../../src/remote/index.js';
import { seededRandom } from '../support/seeded-random.js';
import {
  backupInline,
  inlineSystem,
  type Place,
  withHistory,
  withDaemon,
} from '../helpers/inline.js';
import { PASSWORD } from '../helpers/rewrites.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { changeTree, deleteInline, collectInline } from '../helpers/garbage.js';

const SETS = 7;
const system = inlineSystem();

async function manySets(t: ExecutionContext, password?: string) {
  const home = scratchInMemory(t);
  const place: Place = { store: path.join(home, 'store'), client: 'me' };
  const [source, other] = [path.join(home, 'tree'), path.join(home, 'other')];
  const random = seededRandom(20);
  fs.mkdirSync(other);
  for (let round = 1; round <= SETS; round += 1) {
    changeTree(source, round, random);
    fs.writeFileSync(path.join(other, `file ${round}`), `${round}`);
    // Without encryption, some sets have fewer roots than others.
    const isMixed = password === undefined;
    const few = round === 4 ? [other] : round === 5 ? [source] : [source, other];
    const roots = isMixed ? few : [source, other];
    await backupInline(system, place, roots, {
      create: round === 1,
      ...(password === undefined ? {} : { password }),
    });
  }
  return { place, source };
}

interface Listing {
  /** Versions of entries, by `directory/name`. */
  readonly entries: ReadonlyMap<string, string>;
  readonly paths: ReadonlyMap<number, string>;
}

const NOTHING: Listing = { entries: new Map(), paths: new Map() };

function versionOf(entry: HistoryEntry): string {
  return `${entry.firstSet} ${entry.sizeBytes}`;
}

/** Lists a set below the given roots, which need not be the set's own. */
async function listingOf(
  history: History,
  set: number,
  roots: readonly RootRecord[],
): Promise<Listing> {
  const entries = new Map<string, string>();
  const paths = new Map<number, string>();
  const listed = (directory: number): Promise<HistoryEntry[]> =>
    history.list({ directory, set, after: Buffer.alloc(0), limit: 4000, withDigests: false });
  const walk = async (directory: number, at: string): Promise<void> => {
    paths.set(directory, at);
    for (const child of await listed(directory)) {
      const name = child.name.toString('latin1');
      entries.set(`${directory}/${name}`, versionOf(child));
      if (child.childId !== undefined) await walk(child.childId, `${at}/${name}`);
    }
  };
  for (const { root, path: at, directory } of roots) {
    const own = await history.find(at, set).catch(() => undefined);
    const all = own === undefined ? await listed(0) : [own];
    const entry = all.find(({ name }) => name.toString('latin1') === String(root));
    if (entry === undefined) continue;
    entries.set(`0/${root}`, versionOf(entry));
    await walk(directory, at.toString('latin1'));
  }
  return { entries, paths };
}

/** Returns the versions that only one listing has: `+` for those in `set`, `-` for those in `before`. */
function differences(set: Listing, before: Listing): string[] {
  const only = (one: Listing, other: Listing, sign: string): string[] =>
    [...one.entries]
      .filter(([key, version]) => other.entries.get(key) !== version)
      .map(([key, version]) => `${sign} ${key} ${version}`);
  return [...only(set, before, '+'), ...only(before, set, '-')].sort();
}

async function changesReported(
  history: History,
  set: number,
  before: number,
  limit: number,
): Promise<string[]> {
  const reported: string[] = [];
  for (let after = FIRST_PLACE; ; ) {
    const { entries, next } = await history.reports.changes({ set, before, after, limit });
    for (const entry of entries) {
      const isNow = entry.lastSet === undefined || entry.lastSet >= set;
      const key = `${entry.directory}/${entry.name.toString('latin1')}`;
      reported.push(`${isNow ? '+' : '-'} ${key} ${versionOf(entry)}`);
    }
    if (next === undefined) return reported.sort();
    after = next;
  }
}

async function compareAll(t: ExecutionContext, history: History): Promise<number> {
  const sets = (await history.sets()).map(({ set }) => set);
  const allRoots = await history.reports.rootsOfSets();
  let changes = 0;
  for (const set of sets) {
    const roots = await history.roots(set);
    const reported = allRoots.get(set)!.map((root) => root.toString('latin1'));
    t.deepEqual(reported.sort(), roots.map((root) => root.path.toString('latin1')).sort());
    const listing = await listingOf(history, set, roots);
    const found = await history.reports.directoryPaths(set, [...listing.paths.keys(), 999_999]);
    const paths = found.map((one) => one?.toString('latin1'));
    t.deepEqual(paths, [...listing.paths.values(), undefined]);
    for (const before of [0, ...sets.filter((one) => one < set)]) {
      const earlier = before === 0 ? NOTHING : await listingOf(history, before, roots);
      const wanted = differences(listing, earlier);
      changes += wanted.length;
      for (const limit of [1, 4000]) {
        t.deepEqual(await changesReported(history, set, before, limit), wanted, `${before}-${set}`);
      }
    }
  }
  return changes;
}

test('the changes of sets are the differences of their listings, whichever are compared', async (t) => {
  const { place } = await manySets(t);
  t.true((await withHistory(place, (history) => compareAll(t, history))) > 300);
  await deleteInline(place, [2, 5]);
  await collectInline(place);
  t.true((await withHistory(place, (history) => compareAll(t, history))) > 200);
});

test('a server reports the same changes of a client that encrypts, opened by its keys', async (t) => {
  const { place } = await manySets(t, PASSWORD);
  const password = Buffer.from(PASSWORD);
  await withDaemon(system, place, {}, async (address) => {
    const credentials = { password, ask: async () => password };
    const history = await openRemoteHistory(system, { address, client: 'me', credentials });
    try {
      t.true((await compareAll(t, history)) > 300);
      const figures = await history.reports.figures();
      t.deepEqual(figures, await withHistory(place, (local) => local.reports.figures()));
      t.is(figures.numbers.sets, SETS);
    } finally {
      history.close();
    }
    // Without the keys, no name can be read.
    const sealed = openLocalHistory(system, place);
    const page = { set: 1, before: 0, after: FIRST_PLACE, limit: 4000 };
    const { entries } = await sealed.reports.changes(page);
    t.true(entries.length > 0);
    t.false(entries.some(({ name }) => name.toString('latin1').includes('grows')));
    sealed.close();
  });
});

test('a user who is not root sees changes only where access allows it', async (t) => {
  const home = scratchInMemory(t);
  const place: Place = { store: path.join(home, 'store'), client: 'me' };
  const source = path.join(home, 'tree');
  for (const [name, mode] of [
    ['open', 0o755],
    ['closed', 0o700],
    ['listed', 0o744],
  ] as const) {
    fs.mkdirSync(path.join(source, name, 'below'), { recursive: true });
    fs.writeFileSync(path.join(source, name, 'below', `in ${name}`), 'x');
    fs.chmodSync(path.join(source, name, 'below'), 0o755);
    fs.chmodSync(path.join(source, name), mode);
  }
  fs.chmodSync(source, 0o755);
  await backupInline(system, place, [source], { create: true });
  const names = async (access: Access): Promise<string[]> => {
    const history = openLocalHistory(system, { ...place, access });
    try {
      const page = { set: 1, before: 0, after: FIRST_PLACE, limit: 100 };
      const { entries } = await history.reports.changes(page);
      const found = entries.map(({ name }) => name.toString('latin1'));
      return found.filter((name) => name.startsWith('in ')).sort();
    } finally {
      history.close();
    }
  };
  t.deepEqual(await names(new Access(undefined)), ['in closed', 'in listed', 'in open']);
  const stranger = { uid: 54_321, gids: new Set([54_321]) };
  t.deepEqual(await names(new Access(stranger)), ['in open']);
});

test('the space of a client is reported by the bytes on the disk, and what nothing needs once sets are gone', async (t) => {
  const { place } = await manySets(t);
  const figures = () => withHistory(place, (history) => history.reports.figures());
  const before = await figures();
  const packs = path.join(place.store, 'me', 'packs');
  const sizes = fs.readdirSync(packs).map((name) => fs.statSync(path.join(packs, name)).size);
  t.is(before.numbers.packs, sizes.length);
  t.is(
    before.numbers.packBytes,
    sizes.reduce((sum, size) => sum + size, 0),
  );
  t.is(before.numbers.deadBytes, 0);
  t.true(before.numbers.versionBytes > before.numbers.contentBytes / 2);
  t.true(before.numbers.recordBytes < before.numbers.packBytes + before.numbers.objectBytes);
  t.true(before.busiest.length > 0);
  for (const [index, { bytes }] of before.busiest.slice(1).entries()) {
    t.true(bytes <= before.busiest[index]!.bytes);
  }
  await deleteInline(place, [1, 2, 3]);
  await collectInline(place, { wasteRatio: 2 }); // drops contents, and repacks nothing
  const after = await figures();
  t.is(after.numbers.sets, SETS - 3);
  t.true(after.numbers.contents < before.numbers.contents);
});
