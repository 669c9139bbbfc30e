// Pace: slow
/** Upgrades of a catalog by the steps of later releases. The software itself has one version, so the steps are injected. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  Catalog,
  CATALOG_VERSION,
  catalogVersion,
  hasNewestVersion,
  newestVersion,
} from '../../../src/store/catalog/index.js';
import { nodeSystem, type System } from '../../../src/system/index.js';
import { FaultPlan, faultySystem } from '../../support/faults.js';
import { thrownCode } from '../../helpers/codes.js';
import { LATER_STEPS, laterSystem, stepsOf } from '../../helpers/later-catalogs.js';
import { dumpCatalog } from '../../helpers/packed-store.js';
import { scratchInMemory } from '../../helpers/scratch.js';

const system = nodeSystem();
const next = laterSystem(LATER_STEPS.slice(0, 1));
const later = laterSystem();
const COUNTERS = { set: 1, root: 2, directory: 3, sequence: 4 };
const POINT = { commit: 5, pack: 6, position: 7, checksum: 8 };
const OPENINGS = [Catalog.openForWriting, Catalog.openForReading];

/** Returns the path of a catalog of this software's version, with some rows. */
function made(t: ExecutionContext): string {
  const file = path.join(scratchInMemory(t), 'tardis.db');
  const catalog = Catalog.openForWriting(system, file);
  catalog.begin();
  catalog.state.write(COUNTERS, POINT);
  catalog.sets.open(1, 'first', 10, 20);
  catalog.settings.put('KeepDaily', '7');
  catalog.commit();
  catalog.close();
  return file;
}

function isWhole(t: ExecutionContext, by: System, file: string, what: string): void {
  const catalog = Catalog.openForReading(by, file);
  t.deepEqual(catalog.state.readCounters(), COUNTERS, what);
  t.deepEqual(catalog.state.readCommitPoint(), POINT, what);
  t.deepEqual(
    catalog.sets.all().map(({ name }) => name),
    ['first'],
    what,
  );
  t.deepEqual(catalog.settings.all(), [{ key: 'KeepDaily', value: '7' }], what);
  t.false(catalog.isDamaged(), what);
  catalog.close();
}

/** Returns the names and contents of all files in the folder of a catalog. */
function contentsBeside(file: string): [string, string][] {
  const folder = path.dirname(file);
  return fs
    .readdirSync(folder)
    .sort()
    .map((name) => [name, fs.readFileSync(path.join(folder, name)).toString('base64')]);
}

test('a new catalog is of the one version that this software has steps for', (t) => {
  t.is(newestVersion(system), CATALOG_VERSION);
  t.is(newestVersion(later), CATALOG_VERSION + 2);
});

test('a catalog of an earlier version is read as it is, and upgraded when it is opened for writing', (t) => {
  const file = made(t);
  const before = contentsBeside(file);
  isWhole(t, later, file, 'read');
  t.false(hasNewestVersion(later, file));
  t.deepEqual(contentsBeside(file), before, 'a reader changes nothing');
  Catalog.openForWriting(next, file).close();
  t.is(catalogVersion(later, file), CATALOG_VERSION + 1, 'one step');
  isWhole(t, next, file, 'one step');
  Catalog.openForWriting(later, file).close();
  t.is(catalogVersion(later, file), CATALOG_VERSION + 2, 'and another one');
  t.true(hasNewestVersion(later, file));
  isWhole(t, later, file, 'both');
  const fresh = path.join(scratchInMemory(t), 'tardis.db');
  Catalog.openForWriting(later, fresh).close();
  t.deepEqual(Object.keys(dumpCatalog(file)), Object.keys(dumpCatalog(fresh)));
  t.true('entry_counts' in dumpCatalog(file));
});

test('an upgraded catalog is refused by the release before, which changes nothing', (t) => {
  const file = made(t);
  Catalog.openForWriting(later, file).close();
  const before = contentsBeside(file);
  for (const earlier of [system, next]) {
    for (const open of OPENINGS) {
      t.is(
        thrownCode(() => open(earlier, file)),
        'CATALOG_NEWER',
      );
    }
  }
  t.deepEqual(contentsBeside(file), before);
});

test('without leave to upgrade, an earlier catalog is refused for writing, and not touched', (t) => {
  const file = made(t);
  const before = contentsBeside(file);
  const open = (by: System): void =>
    Catalog.openForWriting(by, file, { mayUpgrade: false }).close();
  t.is(
    thrownCode(() => open(later)),
    'CATALOG_OLDER',
  );
  t.deepEqual(contentsBeside(file), before);
  t.notThrows(() => open(system), 'its own version is no upgrade');
  const fresh = path.join(scratchInMemory(t), 'tardis.db');
  t.notThrows(() => Catalog.openForWriting(later, fresh, { mayUpgrade: false }).close());
});

test('a catalog with other tables than its version has is not upgraded', (t) => {
  const file = made(t);
  const database = system.openDatabase(file, { readonly: false });
  database.exec('DROP TABLE owner_names');
  database.close();
  for (const open of OPENINGS) {
    t.is(
      thrownCode(() => open(later, file)),
      'CATALOG_DAMAGED',
    );
  }
});

test('a step that fails, or makes other tables than its version has, is undone', (t) => {
  const [first, second] = LATER_STEPS;
  for (const [what, wrong, version] of [
    ['other tables', { sql: first!.sql, shape: second!.shape }, CATALOG_VERSION],
    ['a wrong statement', { sql: `${first!.sql}; SELECT nothing`, shape: '' }, CATALOG_VERSION],
    ['a wrong second step', { sql: 'DROP TABLE entry_counts', shape: '' }, CATALOG_VERSION + 1],
  ] as const) {
    const file = made(t);
    const steps = version === CATALOG_VERSION ? [wrong] : [first!, wrong];
    t.throws(() => Catalog.openForWriting(laterSystem(steps), file), undefined, what);
    t.is(catalogVersion(later, file), version, what);
    isWhole(t, later, file, what);
    Catalog.openForWriting(later, file).close();
    isWhole(t, later, file, `${what}: mended`);
  }
});

for (const [what, mode] of [
  ['killed', { kind: 'kill' }],
  ['out of space', { kind: 'fail-from', code: 'ENOSPC' }],
  ['failing once', { kind: 'fail-once', code: 'EIO' }],
] as const) {
  test(`an upgrade can be interrupted at any statement: ${what}`, (t) => {
    const start = made(t);
    const seen = new Set<number>();
    let hits = 0;
    for (let at = 1; ; at += 1) {
      const file = path.join(scratchInMemory(t), 'tardis.db');
      fs.copyFileSync(start, file);
      const plan = new FaultPlan(at, mode);
      try {
        Catalog.openForWriting(faultySystem(later, plan), file).abandon();
      } catch (error) {
        if (plan.hit === undefined) throw error;
      }
      if (plan.hit === undefined) break;
      hits += 1;
      seen.add(catalogVersion(later, file));
      isWhole(t, later, file, `${at}: read`);
      Catalog.openForWriting(later, file).close();
      t.true(hasNewestVersion(later, file), `${at}`);
      isWhole(t, later, file, `${at}: upgraded`);
    }
    t.true(hits >= 6, `${hits}`);
    const versions = [0, 1, 2].map((steps) => CATALOG_VERSION + steps);
    for (const version of versions.slice(0, 2)) t.true(seen.has(version), `${version}`);
    t.true([...seen].every((version) => versions.includes(version)));
  });
}

test('shapes do not depend on how a catalog came to its tables', (t) => {
  const joined = LATER_STEPS.map(({ sql }) => sql).join(';\n');
  t.is(stepsOf([joined])[0]!.shape, LATER_STEPS[1]!.shape);
});
