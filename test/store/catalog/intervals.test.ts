/** Entries as intervals of sets, compared with the simplest model: a full copy of all entries per set. */
import path from 'node:path';
import test from 'ava';
import * as fc from 'fast-check';
import { applySection, Catalog, closeName, putRow } from '../../../src/store/catalog/index.js';
import { RowReader } from '../../../src/model/index.js';
import { nodeSystem } from '../../../src/system/index.js';
import { sectionOf } from '../../helpers/packed-store.js';
import { entryOf, rowOf } from '../../helpers/rows.js';
import { scratchInMemory } from '../../helpers/scratch.js';

interface Change {
  readonly directory: number;
  readonly name: string;
  readonly what: 'put' | 'remove' | 'close';
  readonly value: number;
  /** True to apply the change as a record, false to write it as a session does. */
  readonly bySection: boolean;
}

interface SetOfChanges {
  readonly isFinished: boolean;
  readonly changes: readonly Change[];
}

/** Entries by directory and name. A number stands for all metadata of an entry. */
type Model = Map<number, Map<string, number>>;

// latin1 maps each character to one byte, so a name may contain any byte
const NAMES = ['a', 'aa', 'b', '\xff', '\xff\xfe', ' ', '.x'];

const anyHistory: fc.Arbitrary<SetOfChanges[]> = fc.array(
  fc.record({
    isFinished: fc.boolean(),
    changes: fc.array(
      fc.record({
        directory: fc.constantFrom(1, 2, 3),
        name: fc.constantFrom(...NAMES),
        what: fc.constantFrom('put', 'put', 'put', 'remove', 'remove', 'close'),
        value: fc.nat(3),
        bySection: fc.boolean(),
      }),
      { maxLength: 12, size: 'max' },
    ),
  }),
  { minLength: 1, maxLength: 8, size: 'max' },
);

const bytes = (name: string): Buffer => Buffer.from(name, 'latin1');
const entry = (name: string, value: number) => entryOf(bytes(name), { mtimeNs: BigInt(value) });

function changeCatalog(catalog: Catalog, set: number, change: Change): void {
  const { directory, name, what, value, bySection } = change;
  const none = sectionOf(set, directory, []);
  if (what === 'close') applySection(catalog, { ...none, closed: true });
  else if (what === 'remove') {
    if (bySection) applySection(catalog, { ...none, removed: [bytes(name)] });
    else closeName(catalog, directory, bytes(name), set);
  } else if (bySection) applySection(catalog, sectionOf(set, directory, [entry(name, value)]));
  else {
    const row = rowOf(bytes(name), { mtimeNs: BigInt(value) });
    const targets = { contentId: undefined, childId: undefined };
    putRow(catalog, { set, directory, ...targets, isNew: false }, new RowReader(row), 0);
  }
}

function changeModel(model: Model, { directory, name, what, value }: Change): void {
  const names = model.get(directory) ?? new Map<string, number>();
  model.set(directory, names);
  if (what === 'close') names.clear();
  else if (what === 'remove') names.delete(name);
  else names.set(name, value);
}

function copyOf(model: Model): Model {
  return new Map([...model].map(([directory, names]) => [directory, new Map(names)]));
}

function sorted(names: ReadonlyMap<string, number> | undefined): [string, number][] {
  return [...(names ?? [])].sort(([a], [b]) => Buffer.compare(bytes(a), bytes(b)));
}

/** Lists a directory as of a set, page by page. */
function listAsOf(catalog: Catalog, directory: number, set: number, limit: number) {
  const found: [string, number][] = [];
  let after: Buffer = Buffer.alloc(0);
  for (;;) {
    const page = catalog.entries.listAsOf({ directory, set, after, limit, withDigests: true });
    for (const { name, mtimeNs } of page) found.push([name.toString('latin1'), Number(mtimeNs)]);
    if (page.length < limit) return found;
    after = page.at(-1)!.name;
  }
}

test('every set, finished or not, shows for ever what was there at its end', (t) => {
  const catalog = Catalog.openForWriting(nodeSystem(), path.join(scratchInMemory(t), 'tardis.db'));
  t.teardown(() => catalog.close());
  let versionsSeen = 0;
  fc.assert(
    fc.property(anyHistory, fc.integer({ min: 1, max: 9 }), (history, limit) => {
      catalog.begin();
      try {
        const model: Model = new Map();
        const snapshots: Model[] = [];
        history.forEach(({ changes, isFinished }, index) => {
          const set = index + 1;
          catalog.sets.open(set, '', 0, 0);
          for (const change of changes) {
            changeCatalog(catalog, set, change);
            changeModel(model, change);
          }
          if (isFinished) catalog.sets.complete(set, 0, {});
          snapshots.push(copyOf(model));
        });
        for (const directory of [1, 2, 3]) {
          snapshots.forEach((snapshot, index) => {
            const wanted = sorted(snapshot.get(directory));
            t.deepEqual(listAsOf(catalog, directory, index + 1, limit), wanted);
            for (const name of NAMES) {
              const found = catalog.entries.findAsOf(directory, bytes(name), index + 1);
              const value = found === undefined ? undefined : Number(found.mtimeNs);
              t.is(value, snapshot.get(directory)?.get(name));
            }
          });
          const head = catalog.entries.headNames(directory, 99);
          const names = head.map(({ name }) => name.toString('latin1'));
          t.deepEqual(
            names,
            sorted(model.get(directory)).map(([name]) => name),
          );
          for (const name of NAMES) versionsSeen += checkVersions(directory, name);
        }
        return true;
      } finally {
        catalog.rollback();
      }
    }),
    { numRuns: 100 },
  );
  t.true(versionsSeen > 500, `${versionsSeen}`);

  /** Checks that versions of a name never overlap and that only the last one can be open. Returns their number. */
  function checkVersions(directory: number, name: string): number {
    const versions = catalog.entries.versions(directory, bytes(name));
    versions.forEach(({ firstSet, lastSet }, index) => {
      const next = versions[index + 1];
      if (next === undefined) t.true(lastSet === undefined || lastSet >= firstSet);
      else t.true(lastSet !== undefined && lastSet >= firstSet && lastSet < next.firstSet);
    });
    return versions.length;
  }
});

test('an unchanged entry writes nothing, however many sets there are', (t) => {
  const catalog = Catalog.openForWriting(nodeSystem(), path.join(scratchInMemory(t), 'tardis.db'));
  t.teardown(() => catalog.close());
  catalog.begin();
  applySection(catalog, sectionOf(1, 1, [entry('a', 1)]));
  for (let set = 2; set <= 50; set += 1) {
    catalog.sets.open(set, '', 0, 0);
    catalog.sets.complete(set, 0, {});
  }
  t.is(catalog.entries.versions(1, bytes('a')).length, 1);
  t.deepEqual(listAsOf(catalog, 1, 50, 9), [['a', 1]]);
});

test('a name sent again within one set replaces what was sent', (t) => {
  const catalog = Catalog.openForWriting(nodeSystem(), path.join(scratchInMemory(t), 'tardis.db'));
  t.teardown(() => catalog.close());
  catalog.begin();
  applySection(catalog, sectionOf(1, 1, [entry('a', 1)]));
  for (const value of [2, 3, 2]) applySection(catalog, sectionOf(2, 1, [entry('a', value)]));
  t.deepEqual(
    catalog.entries
      .versions(1, bytes('a'))
      .map(({ firstSet, lastSet, mtimeNs }) => [firstSet, lastSet, Number(mtimeNs)]),
    [
      [1, 1, 1],
      [2, undefined, 2],
    ],
  );
  applySection(catalog, sectionOf(2, 1, [], ['a']));
  t.deepEqual(
    catalog.entries.versions(1, bytes('a')).map(({ firstSet, lastSet }) => [firstSet, lastSet]),
    [[1, 1]],
    'what began and ended in one set never was',
  );
});

test('a set is listed until one of the same roots completes after it was broken off', (t) => {
  const catalog = Catalog.openForWriting(nodeSystem(), path.join(scratchInMemory(t), 'tardis.db'));
  t.teardown(() => catalog.close());
  catalog.begin();
  const root = (number: number) => ({
    root: number,
    path: Buffer.from(`/root ${number}`),
    directory: number,
    device: '',
  });
  const open = (set: number, ...roots: number[]): void => {
    catalog.sets.open(set, `set ${set}`, set, set);
    for (const number of roots) catalog.sets.addRoot(set, root(number));
  };
  const listed = (): [number, string][] =>
    catalog.sets.listed().map(({ set, state }) => [set, state]);
  open(1, 1);
  catalog.sets.complete(1, 10, { files: 3 });
  open(2, 1);
  open(3, 2);
  open(4, 1, 2);
  open(5, 1, 3);
  catalog.sets.complete(5, 50, {});
  t.deepEqual(listed(), [
    [1, 'complete'],
    [3, 'unfinished'],
    [4, 'unfinished'],
    [5, 'complete'],
  ]);
  open(6, 2);
  open(7, 1, 2);
  catalog.sets.complete(7, 70, {});
  t.deepEqual(listed(), [
    [1, 'complete'],
    [5, 'complete'],
    [7, 'complete'],
  ]);
  t.is(catalog.sets.find(2)?.state, 'superseded');
  t.deepEqual(catalog.sets.rootsOf(7), [root(1), root(2)]);
  t.deepEqual(catalog.sets.find(1)?.stats, { files: 3 });
  t.is(catalog.sets.find(8), undefined);
});
