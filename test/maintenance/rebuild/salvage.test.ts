// Pace: slow
/**
 * Stores with missing data: after a rebuild, everything left can be listed and restored, and the next backup succeeds.
 */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import {
  LOST_AND_FOUND,
  placeOrphans,
  rebuildCatalog,
} from '../../../src/maintenance/rebuild/index.js';
import { repairClientDirectory } from '../../../src/store/index.js';
import { nodeSystem } from '../../../src/system/index.js';
import { seededRandom } from '../../support/seeded-random.js';
import {
  checkInline,
  contentsOf,
  dataFiles,
  DAMAGES,
  lostOf,
  namedBy,
} from '../../helpers/damage.js';
import {
  backupInline,
  dumpHistory,
  inlineLab,
  inlineSystem,
  type Place,
  SMALL_STORE,
} from '../../helpers/inline.js';
import { copyOf, lived } from '../../helpers/lived-store.js';
import { scratchInMemory, ownState } from '../../helpers/scratch.js';
import { dir, file, makeTree, text } from '../../helpers/tree.js';

ownState(test);

/** Rebuilds the catalog. Returns the number of directories that got a new place, and whether listings are lost. */
async function salvage(
  place: Place,
  packsOnly = false,
): Promise<{ placed: number; isDoubtful: boolean }> {
  const system = nodeSystem();
  const directory = await repairClientDirectory(system, place, async () => undefined);
  const report = await rebuildCatalog(system, directory, { packsOnly });
  const { isMetadataLost: isDoubtful } = report;
  const placed = isDoubtful ? await placeOrphans(system, directory, SMALL_STORE.store) : 0;
  return { placed, isDoubtful };
}

test('what is below a directory whose listing is lost is found again', async (t) => {
  const { place, source, backup } = inlineLab(t, [
    dir('a', [dir('b', [file('first', text(1, 3000))])]),
    file('x', 'x'),
  ]);
  await backup();
  fs.writeFileSync(path.join(source, 'a', 'b', 'second'), text(2, 3000));
  await backup();
  const right = await contentsOf(place, undefined);
  const packs = path.join(place.store, 'me', 'packs');
  fs.rmSync(path.join(packs, fs.readdirSync(packs).sort()[0]!)); // the whole first set
  t.is((await salvage(place, true)).placed, 1);
  const left = await contentsOf(place, undefined);
  const found = [...left].filter(
    ([name, hash]) => name.includes(LOST_AND_FOUND) && hash !== 'lost',
  );
  t.deepEqual(
    found.map(([name, hash]) => [path.basename(name), hash]),
    [['second', right.get(`2 ${source}/a/b/second`)]],
  );
  const reported = await dumpHistory(place);
  t.is((await salvage(place, true)).placed, 0);
  t.deepEqual(await dumpHistory(place), reported, 'the new place is in the packs');
  await backup();
  const next = await contentsOf(place, undefined);
  const third = [...next].filter(([name]) => name.startsWith('3 '));
  t.deepEqual(
    third.map(([name]) => name.slice(2 + source.length)).sort(),
    ['/a/b/first', '/a/b/second', '/x'],
    'the next set is as the source is',
  );
  t.deepEqual(
    third.filter(([, hash]) => hash === 'lost'),
    [],
  );
});

test('what is found again is below its own root', async (t) => {
  const home = scratchInMemory(t);
  const sources = ['one', 'two'].map((name) => path.join(home, name));
  for (const source of sources) makeTree(source, [dir('a', [dir('b', [file('x', 'x')])])]);
  const place = { store: path.join(home, 'store'), client: 'me' };
  await backupInline(inlineSystem(), place, sources, { create: true });
  for (const [index, source] of sources.entries()) {
    fs.writeFileSync(path.join(source, 'a', 'b', `found ${index}`), text(index, 3000));
  }
  await backupInline(inlineSystem(), place, sources);
  const packs = path.join(place.store, 'me', 'packs');
  fs.rmSync(path.join(packs, fs.readdirSync(packs).sort()[0]!)); // the whole first set
  t.is((await salvage(place, true)).placed, 2);
  const names = [...(await contentsOf(place, undefined)).keys()];
  t.deepEqual(
    names.map((name) => name.replace(/directory-\d+/, 'directory')).sort(),
    sources.map((source, index) => `2 ${source}/${LOST_AND_FOUND}/directory/b/found ${index}`),
  );
});

/** Returns the digests that a path had in any set. */
function everAt(right: ReadonlyMap<string, string>, name: string): Set<string> {
  const pathOf = (key: string): string => key.slice(key.indexOf(' '));
  const same = [...right].filter(([key]) => pathOf(key) === pathOf(name));
  return new Set(same.map(([, hash]) => hash));
}

test('whatever the damage, a rebuild leaves what it can, and a check agrees with it', async (t) => {
  const { place, source, right } = await lived(t);
  const kinds = Object.keys(DAMAGES);
  for (let n = 0; n < 42; n += 1) {
    const random = seededRandom(9000 + n);
    const kind = kinds[n % kinds.length]!;
    const copy = copyOf(place, 'damaged');
    const home = path.join(copy.store, 'me');
    const what = await DAMAGES[kind]!(home, dataFiles(copy), random);
    if (n % 3 === 0) fs.rmSync(path.join(home, 'tardis.db'));
    if (n % 5 === 0) fs.rmSync(path.join(home, 'format.json'));
    const { isDoubtful } = await salvage(copy);
    const after = await contentsOf(copy, undefined);
    const lost = [...after].filter(([, hash]) => hash === 'lost').map(([name]) => name);
    t.deepEqual(namedBy(await checkInline(copy)), lost.sort(), what);
    for (const [name, hash] of after) {
      const before = right.get(name);
      if (hash === 'lost' || before === undefined) continue;
      // If a listing is lost, a set shows an earlier state of the path.
      if (isDoubtful) t.true(everAt(right, name).has(hash), `${what}: ${name}`);
      else t.is(hash, before, `${what}: ${name}`);
    }
    if (n % 7 !== 0) continue;
    await backupInline(inlineSystem(), copy, [source]);
    const next = await contentsOf(copy, undefined);
    const newest = [...next].filter(([name]) => !right.has(name) && !name.includes(LOST_AND_FOUND));
    t.deepEqual(
      newest.filter(([, hash]) => hash === 'lost'),
      [],
      what,
    );
    t.true(newest.length > 0, what);
  }
  t.true(lostOf(right, new Map()).length === right.size);
});
