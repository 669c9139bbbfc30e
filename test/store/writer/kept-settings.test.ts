// Pace: slow
/**
 * Settings stored with a client, and the client configurations stored with its sets: they survive rebuilds, and change
 * backups.
 */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Catalog, PageSums, settingsOf } from '../../../src/store/catalog/index.js';
import { changeSetting } from '../../../src/store/writer/index.js';
import {
  buildImagePiece,
  openClientDirectory,
  parseRecord,
  readImagePiece,
  RecordKind,
} from '../../../src/store/index.js';
import type { ClientConfig } from '../../../src/model/index.js';
import { plainPackr } from '../../../src/system/msgpack/index.js';
import { changeCatalog } from '../../helpers/changed-catalog.js';
import { configWith } from '../../helpers/client-configs.js';
import { rejectedCode } from '../../helpers/codes.js';
import {
  backupInline,
  inlineLab,
  type InlineServer,
  inlineSystem,
  type Place,
  rebuildInline,
  SMALL_STORE,
} from '../../helpers/inline.js';
import { chainsIn } from '../../helpers/packed-store.js';
import { recordsIn } from '../../helpers/records.js';
import { giveKeys, PASSWORD, rewriteInline } from '../../helpers/rewrites.js';
import { file, noise } from '../../helpers/tree.js';
import { deleteInline, collectInline } from '../../helpers/garbage.js';

const system = inlineSystem();

function ground(t: ExecutionContext) {
  const { home, place, source } = inlineLab(t, [file('stays', 'the same')]);
  const set = (key: string, value: string | undefined): Promise<void> =>
    changeSetting(system, openClientDirectory(system, place), SMALL_STORE.store, {
      text: key,
      value,
    });
  return { home, place, source, set };
}

function inCatalog<T>({ store, client }: Place, ask: (catalog: Catalog) => T): T {
  const catalog = Catalog.openForReading(system, path.join(store, client, 'tardis.db'));
  try {
    return ask(catalog);
  } finally {
    catalog.close();
  }
}

function reported(place: Place) {
  return inCatalog(place, (catalog) => ({
    settings: [...settingsOf(catalog)],
    configs: catalog.sets.all().map(({ set }) => [set, catalog.settings.configOf(set)]),
  }));
}

test('settings and reported settings of clients outlive the catalog, garbage collection and the keys', async (t) => {
  const { place, source, set } = ground(t);
  for (const round of [1, 2, 3]) {
    fs.writeFileSync(path.join(source, 'changes'), noise(round, 300_000));
    const config = round === 2 ? {} : { config: configWith(`${round}`) };
    await backupInline(system, place, [source], { create: round === 1, ...config });
  }
  await set('KeepDaily', '7');
  await set('maxdeltachain', '3');
  await set('KeepDaily', '14');
  await set('SaveFull', 'yes');
  await set('SaveFull', undefined);
  const wanted = {
    settings: [
      ['KeepDaily', '14'],
      ['MaxDeltaChain', '3'],
    ] as [string, string][],
    configs: [
      [1, configWith('1')],
      [2, undefined],
      [3, configWith('3')],
    ],
  };
  t.deepEqual(reported(place), wanted);
  await rebuildInline(place);
  t.deepEqual(reported(place), wanted, 'rebuilt');
  await deleteInline(place, [1]);
  await collectInline(place, { wasteRatio: 0.01, isThorough: true });
  const later = { ...wanted, configs: wanted.configs.slice(1) };
  t.deepEqual(reported(place), later, 'cleared up');
  const kinds = (await recordsIn(path.join(place.store, 'me'))).map(({ kind }) => kind);
  t.true(kinds.includes(RecordKind.image), 'what stood in the removed pack is in an image');
  await rebuildInline(place);
  t.deepEqual(reported(place), later, 'rebuilt from an image');
  await giveKeys(place, false);
  await rewriteInline(system, place);
  t.deepEqual(reported(place).settings, wanted.settings, 'written anew');
  const [two, three] = reported(place).configs;
  t.deepEqual(two, [2, undefined]);
  t.like(three![1], { form: 'sealed' }, 'by the new keys');
  await rebuildInline(place);
  t.deepEqual(reported(place).settings, wanted.settings);
});

test('items of an image with settings are taken as they were written, and no others', (t) => {
  const build = (item: unknown): Buffer =>
    buildImagePiece(1, { image: 1, piece: 0, isLast: true, items: [item as never] });
  const read = (item: unknown) => readImagePiece(parseRecord(build(item))).items;
  for (const item of [
    { type: 'settings', settings: [{ key: 'SaveFull', value: 'no' }] },
    { type: 'config', set: 3, config: configWith('x') },
    { type: 'config', set: 3, config: { form: 'sealed', bytes: Buffer.alloc(9) } },
  ]) {
    t.deepEqual(read(item), [item as never]);
  }
  for (const item of [
    { type: 'settings', settings: [{ key: 'Save Full', value: 'no' }] },
    { type: 'settings', settings: [{ key: 'SaveFull', value: 1 }] },
    { type: 'settings', settings: [{ key: 'SaveFull', value: 'x'.repeat(5000) }] },
    { type: 'settings' },
    { type: 'config', set: -1, config: configWith('x') },
    { type: 'config', set: 1, config: '{}' },
    { type: 'config', set: 1, config: configWith('x'.repeat(5000)) },
    { type: 'config', set: 1, config: { form: 'sealed', bytes: Buffer.alloc(70_000) } },
    { type: 'config', set: 1 },
  ]) {
    t.throws(() => read(item), { code: 'RECORD_DAMAGED' }, JSON.stringify(item).slice(0, 60));
  }
});

test('a key that nobody knows, and a value that it cannot have, are refused', async (t) => {
  const { place, source, set } = ground(t);
  await backupInline(system, place, [source], { create: true });
  const before = fs.readFileSync(path.join(place.store, 'me', 'tardis.db'));
  for (const [key, value] of [
    ['NoSuchKey', '1'],
    ['', '1'],
    ['__proto__', '1'],
    ['MaxDeltaChain', 'many'],
    ['MaxDeltaChain', '33'],
    ['MaxChangePercent', '101'],
    ['SaveFull', 'perhaps'],
    ['KeepTags', 'x'.repeat(5000)],
    ['NoSuchKey', undefined],
  ] as const) {
    t.is(await rejectedCode(set(key, value)), 'CONFIG_INVALID', `${key} ${value?.slice(0, 20)}`);
  }
  t.deepEqual(reported(place).settings, []);
  t.true(fs.readFileSync(path.join(place.store, 'me', 'tardis.db')).equals(before));
});

/** Returns the number of versions after the first that are stored as deltas, and of those that build on each other. */
async function deltas(
  t: ExecutionContext,
  settings: readonly (readonly [string, string])[],
  server: InlineServer = {},
): Promise<[count: number, longestChain: number]> {
  const { place, source, set } = ground(t);
  const large = noise('large', 2 << 20);
  for (let round = 1; round <= 3; round += 1) {
    large.fill(round, 1000 * round, 1000 * round + 100);
    const grown = Buffer.concat([large, noise(round, 10_000 * round)]);
    fs.writeFileSync(path.join(source, 'large'), grown);
    await backupInline(system, place, [source], { create: round === 1, ...server });
    if (round === 1) for (const [key, value] of settings) await set(key, value);
  }
  const records = await recordsIn(path.join(place.store, 'me'));
  const count = records.filter(({ kind }) => kind === RecordKind.delta).length;
  return [count, Math.max(...chainsIn(path.join(place.store, 'me', 'tardis.db')))];
}

test("settings of deltas that are kept with a client hold for it in place of the server's", async (t) => {
  t.deepEqual(await deltas(t, []), [2, 2]);
  t.deepEqual(await deltas(t, [['MaxDeltaChain', '1']]), [2, 1]);
  t.deepEqual(await deltas(t, [['MaxDeltaChain', '0']]), [0, 0]);
  t.deepEqual(await deltas(t, [['SaveFull', 'yes']]), [0, 0]);
  t.deepEqual(await deltas(t, [['MaxChangePercent', '0']]), [0, 0]);
  const full = { ...SMALL_STORE, deltas: { ...SMALL_STORE.deltas, saveFull: true } };
  t.deepEqual(await deltas(t, [], { storage: full }), [0, 0]);
  t.deepEqual(await deltas(t, [['SaveFull', 'no']], { storage: full }), [2, 2]);
});

test('the reported settings of a client are kept unless the server, or a kept setting, forbids it', async (t) => {
  const { place, source, set } = ground(t);
  const config = configWith('x');
  const never = { ...SMALL_STORE, saveConfig: false };
  await backupInline(system, place, [source], { create: true, config });
  await backupInline(system, place, [source], { config, storage: never });
  await set('SaveConfig', 'yes');
  await backupInline(system, place, [source], { config, storage: never });
  await set('SaveConfig', 'no');
  await backupInline(system, place, [source], { config });
  t.deepEqual(reported(place).configs, [
    [1, config],
    [2, undefined],
    [3, config],
    [4, undefined],
  ]);
  const value = 'x'.repeat(4000);
  const settings = Array.from({ length: 11 }, () => ({ name: 'setName', value }));
  const huge = { ...config, settings };
  const code = await rejectedCode(backupInline(system, place, [source], { config: huge }));
  t.is(code, 'PROTOCOL_VIOLATION');
});

test('a configuration that a store made up for a client that encrypts is not sealed by a rewrite', async (t) => {
  const { place, source } = ground(t);
  const config = configWith('its own');
  const options = { create: true, config, password: PASSWORD };
  await backupInline(system, place, [source], options);
  const [[, sealed]] = reported(place).configs as [[number, ClientConfig]];
  t.is(sealed.form, 'sealed');
  const store = (stored: ClientConfig): void => {
    changeCatalog(place.store, (catalog) => {
      catalog.prepare('UPDATE set_configs SET config = ?').run(plainPackr().pack(stored));
    });
    PageSums.takeAll(system.files, path.join(place.store, 'me', 'tardis.db')); // a program that can change rows can change these, too
  };
  store(configWith('made up'));
  t.is(await rejectedCode(rewriteInline(system, place)), 'NOT_AUTHENTIC');
  store(sealed);
  await rewriteInline(system, place);
  const [[, again]] = reported(place).configs as [[number, ClientConfig]];
  t.is(again.form, 'sealed');
  t.notDeepEqual(again, sealed, 'by the new keys');
});
