// Pace: long
/**
 * Rebuilds stores that have lost packs, catalogs or both, by the commands. All that could be restored before can be
 * restored afterwards. Doubtful sets are marked as such, and no loss is forgotten.
 */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { exited } from '../helpers/codes.js';
import { backupsRunHere, listedSets, run, succeed } from '../helpers/commands.js';
import { RecordKind } from '../../src/store/index.js';
import { lookRunning } from '../helpers/damage-kinds.js';
import { contentsOf, recordsOf } from '../helpers/damage.js';
import { backupInline, inlineSystem, type Place } from '../helpers/inline.js';
import { copyOf, lived, type Lived } from '../helpers/lived-store.js';
import { PASSWORD } from '../helpers/rewrites.js';
import { lab } from '../helpers/lab.js';
import { ownState } from '../helpers/scratch.js';
import { flipAt } from '../helpers/rot.js';
import { seed } from '../helpers/seed.js';
import { partOf, share } from '../helpers/share.js';
import { dir, file } from '../helpers/tree.js';
import { seededRandom } from '../support/seeded-random.js';

backupsRunHere();

ownState(test);

const KINDS = ['plain', 'encrypting'] as const;
const PARTLY = 3;
const BUSY_ENDS_MS = 120_000;

const clientPath = ({ store, client }: Place, ...names: string[]): string =>
  path.join(store, client, ...names);

function words({ store, client }: Place, { keyring }: Pick<Lived, 'keyring'>): string[] {
  const secret = keyring === undefined ? [] : [`--password=${PASSWORD}`];
  return ['-D', store, '-C', client, ...secret];
}

const packsOf = (place: Place): string[] =>
  fs
    .readdirSync(clientPath(place, 'packs'))
    .filter((name) => name.endsWith('.pack'))
    .sort();

const catalogsOf = (place: Place): string[] =>
  fs.readdirSync(clientPath(place)).filter((name) => name.startsWith('tardis.db'));

const keptOf = (place: Place): string[] =>
  catalogsOf(place).filter((name) => name.includes('.before-rebuild-'));

function removeCatalogs(place: Place): void {
  for (const name of catalogsOf(place)) fs.rmSync(clientPath(place, name));
}

/** Returns the contents that could be restored before, and now are lost or differ. */
function worseThan(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>) {
  return [...before].filter(([name, was]) => was !== 'lost' && after.get(name) !== was);
}

/** Returns the contents that can be restored but differ from the backed-up ones. */
function wrongIn(right: ReadonlyMap<string, string>, found: ReadonlyMap<string, string>) {
  return [...found].filter(([name, is]) => is !== 'lost' && right.get(name) !== is);
}

const LOSSES: Readonly<Record<string, (place: Place, pack: string) => void>> = {
  gone: (place, pack) => fs.rmSync(clientPath(place, 'packs', pack)),
  halved: (place, pack) => {
    const file = clientPath(place, 'packs', pack);
    fs.truncateSync(file, Math.floor(fs.statSync(file).size / 2));
  },
};

const random = seededRandom(seed);
/** The share of the packs that are lost in turn: each costs a second, and TEST_SEED chooses which. */
const LOST_SHARE = 4 * share;

for (const kind of KINDS) {
  test.serial(
    `a rebuild loses nothing that the catalog knew, whichever pack is lost: ${kind}`,
    async (t) => {
      t.timeout(BUSY_ENDS_MS * 4);
      const home = await lived(t, kind === 'encrypting');
      const packs = packsOf(home.place);
      t.true(packs.length >= 3);
      const all = Object.keys(LOSSES).flatMap((what) => packs.map((pack) => ({ what, pack })));
      for (const { what, pack } of partOf(all, LOST_SHARE, random, (one) => [one.what])) {
        const place = copyOf(home.place, 'damaged');
        LOSSES[what]!(place, pack);
        const title = `TEST_SEED=${seed}: ${pack} ${what}`;
        const before = await contentsOf(place, home.keyring);
        const rebuilt = await run('sonic', ['rebuild', ...words(place, home), '--json']);
        const after = await contentsOf(place, home.keyring);
        // If the pack is truncated, the missing part may contain nothing that is needed and stored nowhere else.
        const isLost = what === 'gone' || [...after.values()].includes('lost');
        if (isLost) t.is(rebuilt.status, PARTLY, `${title}: ${rebuilt.stderr}`);
        else t.true([0, PARTLY].includes(rebuilt.status!), `${title}: ${rebuilt.stderr}`);
        t.deepEqual(worseThan(before, after), [], title);
        t.deepEqual(wrongIn(home.right, after), [], title);
        t.deepEqual([...after.keys()], [...home.right.keys()], `${title}: names`);
        t.deepEqual(keptOf(place), ['tardis.db.before-rebuild-1'], title);
        // The first rebuild has written its result to the packs. A second one without the catalog gives the same
        // result.
        removeCatalogs(place);
        await run('sonic', ['rebuild', ...words(place, home)]);
        t.deepEqual(await contentsOf(place, home.keyring), after, `${title}: second rebuild`);
      }
    },
  );
}

test.serial('a backup that finds no catalog marks what a rebuild would mark', async (t) => {
  t.timeout(BUSY_ENDS_MS);
  const home = await lived(t);
  const [, pack] = packsOf(home.place);
  const [implicit, explicit] = [copyOf(home.place, 'implicit'), copyOf(home.place, 'explicit')];
  for (const place of [implicit, explicit]) {
    removeCatalogs(place);
    LOSSES['gone']!(place, pack!);
  }
  const ran = await run('tardis', ['--local', ...words(implicit, home), home.source]);
  t.is(ran.status, PARTLY, ran.stderr);
  t.regex(ran.stderr, /sets up to 3 may lack entries/);
  exited(t, PARTLY, await run('sonic', ['rebuild', ...words(explicit, home)]));
  const doubts = async (place: Place): Promise<string[]> => {
    const shown = await succeed('lstardis', words(place, home));
    return shown.split('\n').flatMap((line) => /^ *([1-3]) .*damaged/.exec(line)?.[1] ?? []);
  };
  t.deepEqual(await doubts(implicit), await doubts(explicit));
  t.true((await doubts(implicit)).length > 0);
  for (const set of await doubts(implicit)) {
    const out = path.join(implicit.store, '..', `out ${set}`);
    const args = [...words(implicit, home), '--all', '-b', set, '-o', out];
    t.is((await run('regenerate', args)).status, PARTLY, set);
  }
  const newest = [
    ...words(implicit, home),
    '--all',
    '-b',
    '4',
    '-o',
    path.join(implicit.store, '..', 'out 4'),
  ];
  await succeed('regenerate', newest);
  // The packs contain the doubt too. A backup or a rebuild neither removes it nor extends it to later sets.
  await succeed('tardis', ['--local', ...words(implicit, home), home.source]);
  const before = await doubts(implicit);
  removeCatalogs(implicit);
  await run('sonic', ['rebuild', ...words(implicit, home)]);
  t.deepEqual(await doubts(implicit), before);
  await succeed('regenerate', [
    ...newest.slice(0, -1),
    path.join(implicit.store, '..', 'out 4 again'),
  ]);
});

test.serial(
  'replaced catalogs are kept, three at most, and always the one that knows most',
  async (t) => {
    t.timeout(BUSY_ENDS_MS);
    const home = await lived(t);
    const { place } = home;
    await succeed('sonic', ['rebuild', ...words(place, home)]);
    t.deepEqual(keptOf(place), ['tardis.db.before-rebuild-1']);
    LOSSES['gone']!(place, packsOf(place)[0]!);
    for (let round = 0; round < 4; round += 1) {
      await run('sonic', ['rebuild', '--packs-only', ...words(place, home)]);
    }
    t.is(keptOf(place).length, 3);
    t.true(keptOf(place).includes('tardis.db.before-rebuild-1'));
    fs.copyFileSync(
      clientPath(place, 'tardis.db.before-rebuild-1'),
      clientPath(place, 'tardis.db'),
    );
    const shown = await listedSets(place.store, place.client);
    t.deepEqual(
      shown.map(({ set }) => set),
      [1, 2, 3],
    );
  },
);

test.serial('a rebuild with --packs-only takes nothing from the old catalog', async (t) => {
  const home = await lived(t);
  const { place } = home;
  LOSSES['gone']!(place, packsOf(place)[0]!);
  const rebuilt = await run('sonic', ['rebuild', '--packs-only', '--json', ...words(place, home)]);
  t.is(rebuilt.status, PARTLY);
  const reported = JSON.parse(rebuilt.stdout) as { knowsMore: boolean; isDoubtful: boolean };
  t.false(reported.knowsMore);
  t.true(reported.isDoubtful);
  t.true(
    (await listedSets(place.store, place.client)).length < 3,
    'a set whose pack is lost is gone',
  );
});

test.serial(
  'a catalog of another client fills no hole, though its packs are of the same size',
  async (t) => {
    const { store, source } = lab(t, [dir('a', [file('one', 'one'), file('two', 'two')])]);
    const [mine, other] = ['me', 'it'].map((client) => ({ store: store, client }));
    for (const round of [1, 2]) {
      fs.writeFileSync(path.join(source, 'a', `later ${round}`), 'later');
      for (const place of [mine!, other!]) {
        await backupInline(inlineSystem(), place, [source], { create: round === 1 });
      }
    }
    t.deepEqual(packsOf(mine!), packsOf(other!));
    fs.copyFileSync(clientPath(other!, 'tardis.db'), clientPath(mine!, 'tardis.db'));
    LOSSES['gone']!(mine!, packsOf(mine!)[0]!);
    const rebuilt = await run('sonic', [
      'rebuild',
      '--json',
      ...words(mine!, { keyring: undefined }),
    ]);
    t.is(rebuilt.status, PARTLY, rebuilt.stderr);
    t.false((JSON.parse(rebuilt.stdout) as { knowsMore: boolean }).knowsMore);
    t.deepEqual(keptOf(mine!), ['tardis.db.before-rebuild-1']);
  },
);

test.serial(
  'a quick rebuild finds contents that are missing, and leaves their bytes to a check',
  async (t) => {
    const home = await lived(t);
    const { place } = home;
    const spoiled = copyOf(home.place, 'spoiled');
    const [name] = packsOf(spoiled);
    const records = await recordsOf(clientPath(spoiled), 1);
    const frame = records.find(({ kind }) => kind === RecordKind.frame)!;
    flipAt(clientPath(spoiled, 'packs', name!), frame.to - 1);
    removeCatalogs(spoiled);
    await succeed('sonic', ['rebuild', '--quick', ...words(spoiled, home)]);
    const checked = await run('sonic', ['check', '--read-data', ...words(spoiled, home)]);
    t.is(checked.status, PARTLY);
    t.regex(checked.stdout, /^lost: /m);
    removeCatalogs(place);
    const objects = fs.readdirSync(clientPath(place)).filter((name) => /^[0-9a-f]{2}$/.test(name));
    for (const name of objects) fs.rmSync(clientPath(place, name), { recursive: true });
    t.true(objects.length > 0);
    const rebuilt = await run('sonic', ['rebuild', '--quick', '--json', ...words(place, home)]);
    t.is(rebuilt.status, PARTLY, rebuilt.stderr);
    const { lost } = JSON.parse(rebuilt.stdout) as { lost: unknown[] };
    t.true(lost.length > 0);
    await succeed('tardis', ['--local', ...words(place, home), home.source]);
    const after = await contentsOf(place, undefined);
    t.deepEqual(
      [...after].filter(([name, is]) => name.startsWith('4 ') && is === 'lost'),
      [],
    );
  },
);

test.serial(
  '--allow-unproven restores what a loss of packs leaves of sealed sets, with status 3',
  async (t) => {
    t.timeout(BUSY_ENDS_MS);
    const home = await lived(t, true);
    const { place } = home;
    removeCatalogs(place);
    LOSSES['gone']!(place, packsOf(place).at(-2)!);
    t.is((await run('sonic', ['rebuild', ...words(place, home)])).status, PARTLY);
    const sets = await listedSets(place.store, place.client, words(place, home).slice(4));
    let unproven = 0;
    for (const { set } of sets) {
      const out = path.join(place.store, '..', `out ${set}`);
      const args = [...words(place, home), '--all', '-b', String(set), '-o', out];
      const strict = await run('regenerate', args);
      if (strict.status !== 1) continue;
      unproven += 1;
      t.regex(strict.stderr, /--allow-unproven.*\[NOT_AUTHENTIC\]/);
      const lenient = exited(t, PARTLY, await run('regenerate', ['--allow-unproven', ...args]));
      t.regex(lenient.stderr, /each entry is proven alone/);
      const listed = await run('lstardis', [
        '--allow-unproven',
        ...words(place, home),
        '-b',
        String(set),
        home.source,
      ]);
      t.is(listed.status, PARTLY, listed.stderr);
      t.regex(listed.stdout, /small/);
    }
    t.true(unproven > 0);
    const both = await run('regenerate', [
      '--allow-unproven',
      '--authenticate',
      ...words(place, home),
      '--all',
    ]);
    t.regex(both.stderr, /--authenticate cannot be used with --allow-unproven/);
  },
);

test.serial('a check compares the end of the catalog with that of the packs', async (t) => {
  const { store, source } = lab(t, [file('a', 'a')]);
  const place = { store: store, client: 'me' };
  const older: Buffer[] = [];
  for (const round of [1, 2, 3]) {
    fs.writeFileSync(path.join(source, `later ${round}`), 'later');
    await backupInline(inlineSystem(), place, [source], { create: round === 1 });
    older.push(fs.readFileSync(clientPath(place, 'tardis.db')));
  }
  const args = ['check', ...words(place, { keyring: undefined })];
  for (const catalog of older.slice(0, -1)) {
    fs.writeFileSync(clientPath(place, 'tardis.db'), catalog);
    const { stdout } = exited(t, PARTLY, await run('sonic', args));
    t.regex(stdout, /catalog: it is older than the packs/);
    const copied = await run('sonic', [
      'copy',
      ...args.slice(1),
      '--to',
      `${store}-copy`,
      '--create',
    ]);
    t.regex(copied.stderr, /older than the packs .*\[CATALOG_DAMAGED\]/);
  }
  lookRunning(clientPath(place, 'tardis.db'));
  await succeed('sonic', args); // a session writes to the packs first, and may be doing so
  await succeed('sonic', ['rebuild', ...args.slice(1)]);
  await succeed('sonic', args);
  t.is((await listedSets(place.store, place.client)).length, 3);
});

test.serial(
  'an empty catalog and a damaged format file are damage with a remedy that helps',
  async (t) => {
    const { store, source, at } = lab(t, [file('a', 'a')]);
    const place = { store: store, client: 'me' };
    await backupInline(inlineSystem(), place, [source], { create: true });
    const args = words(place, { keyring: undefined });
    const restoring = ['--all', '-o', at('out')];
    fs.truncateSync(clientPath(place, 'tardis.db'));
    const checked = exited(t, PARTLY, await run('sonic', ['check', ...args]));
    t.regex(checked.stdout, /catalog: the catalog .* is empty/);
    t.regex(
      (await run('regenerate', [...args, ...restoring])).stderr,
      /is empty \[CATALOG_DAMAGED\]/,
    );
    await succeed('sonic', ['rebuild', ...args]);
    await succeed('sonic', ['check', ...args]);
    for (const text of ['', '{"format":', '{"format":1', 'null', '{"clientId":"00"}']) {
      fs.writeFileSync(clientPath(place, 'format.json'), text);
      for (const [tool, ...more] of [
        ['sonic', 'check'],
        ['lstardis'],
        ['regenerate', ...restoring],
      ] as const) {
        const { stderr } = exited(t, 1, await run(tool, [...more, ...args]));
        t.regex(stderr, /\[FORMAT_DAMAGED\]\n.*Run `sonic rebuild/, text);
      }
      await succeed('sonic', ['rebuild', ...args]);
      await succeed('sonic', ['check', ...args]);
    }
  },
);
