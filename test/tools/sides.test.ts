/** The two versions that tardiff compares, and the paths in each of them. */
import test from 'ava';
import type { BackupSet, History } from '../../src/history/index.js';
import { nodeSystem } from '../../src/system/index.js';
import {
  chooseVersions,
  comparedPaths,
  type DiffSettings,
  headerOf,
} from '../../src/tools/index.js';
import { rejectedCode } from '../helpers/codes.js';

type Versions = Awaited<ReturnType<typeof chooseVersions>>;

const found: (string | undefined)[] = [];
const history = {
  findSet: async (text: string | undefined) => {
    found.push(text);
    return { set: Number(text ?? 9) } as BackupSet;
  },
} as unknown as History;

function settings(changes: Partial<DiffSettings> = {}): DiffSettings {
  const none = { comparedSets: [], comparedDates: [], recentSet: 'newest', paths: [] };
  return { ...none, reducePath: undefined, ...changes } as unknown as DiffSettings;
}

const choose = (...comparedSets: string[]): Promise<Versions> =>
  chooseVersions(nodeSystem(), history, settings({ comparedSets }));

/** Versions whose set has just these paths, and the disk. */
function withPaths(...paths: string[]): Versions {
  const side = { find: async (path: Buffer) => (paths.includes(path.toString()) ? {} : undefined) };
  const set = { set: 3 } as BackupSet;
  return {
    before: { side, label: 'set 3', set },
    after: { side, label: 'disk', set: undefined },
  } as unknown as Versions;
}

async function reduced(versions: Versions, given: string, reducePath?: string): Promise<string[]> {
  const chosen = { ...versions, paths: [Buffer.from(given)] };
  const [pair] = await comparedPaths(chosen, { reducePath });
  return [pair!.before.toString(), pair!.after.toString()];
}

test('one set is compared with the disk, two with each other, and more with nothing', async (t) => {
  const none = await choose();
  t.like(none, { before: { label: 'set 9' }, after: { label: 'disk', set: undefined } });
  t.like(await choose('2'), { before: { label: 'set 2' }, after: { label: 'disk' } });
  t.like(await choose('2', '5'), { before: { label: 'set 2' }, after: { label: 'set 5' } });
  t.is(await rejectedCode(choose('1', '2', '3')), 'USAGE');
});

test('directories are stripped from a path in a set, and never from one of the disk', async (t) => {
  const versions = withPaths();
  t.deepEqual(await reduced(versions, '/a/b/c'), ['/a/b/c', '/a/b/c']);
  t.deepEqual(await reduced(versions, '/a/b/c', '1'), ['/b/c', '/a/b/c']);
  t.deepEqual(await reduced(versions, '/a/b/c', '0'), ['/a/b/c', '/a/b/c']);
  t.deepEqual(await reduced(versions, '/a/b/c', '9999'), ['/', '/a/b/c'], 'more than there are');
});

test('a smart reduction strips as few directories as the set allows', async (t) => {
  t.deepEqual((await reduced(withPaths('/b/c', '/c'), '/a/b/c', 'smart'))[0], '/b/c');
  t.deepEqual((await reduced(withPaths('/a/b/c', '/c'), '/a/b/c', 'smart'))[0], '/a/b/c');
  t.deepEqual((await reduced(withPaths('/x'), '/a/b/c', 'smart'))[0], '/a/b/c', 'it is nowhere');
});

test('a number of directories that is none is refused', async (t) => {
  for (const text of ['-1', '1.5', 'Smart', '10000', '1e3']) {
    t.is(await rejectedCode(reduced(withPaths(), '/a', text)), 'USAGE', text);
  }
});

test('a header has the path, its time and the version, and no line end of a name', (t) => {
  const version = withPaths().before;
  const path = Buffer.from('/a\nb');
  const seen = { path, entry: { mtimeNs: 0n } } as unknown as Parameters<typeof headerOf>[1];
  const other = { ...seen, path: Buffer.from('/other') };
  const header = headerOf(seen, other, version);
  t.regex(header, /^\/a[^\n]*\t19(69|70)-[^\n]* \(set 3\)$/);
  t.regex(headerOf(undefined, other, version), /^\/other\t19/, 'the path of the other side');
});
