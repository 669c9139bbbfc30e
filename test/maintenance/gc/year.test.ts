// Pace: long
/**
 * An encrypting client over many days: each day a hundredth of the files changes, and sets older than thirty days are
 * dropped. The store stays within one and a half times the needed bytes. TEST_SHARE makes the test longer and larger.
 */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { Catalog } from '../../../src/store/catalog/index.js';
import { openClientDirectory } from '../../../src/store/index.js';
import { seededRandom } from '../../support/seeded-random.js';
import { backupInline, inlineSystem, restoreInline, SMALL_STORE } from '../../helpers/inline.js';
import { PASSWORD } from '../../helpers/rewrites.js';
import { folderIn, scratchInMemory } from '../../helpers/scratch.js';
import { sizeOf, text } from '../../helpers/tree.js';
import { deleteInline, frameTools, collectInline } from '../../helpers/garbage.js';
import { seed } from '../../helpers/seed.js';
import { shareOf } from '../../helpers/share.js';

const days = shareOf(600, 80);
const files = shareOf(8000);
const KEPT_DAYS = 30;
const CHANGED = 0.01;
const MOST_RATIO = 1.5;
const FILES_IN_DIRECTORY = 50;
const MIB = 1 << 20;
const SETTINGS = {
  frameBytes: 128 << 10,
  smallBytes: 64 << 10,
  parcelFiles: 512,
  parcelBytes: MIB,
  budgetBytes: 4 * MIB,
};
const STORAGE = {
  ...SMALL_STORE,
  store: { packBytes: 4 * MIB, packContentBytes: MIB },
  checkpoint: { bytes: 16 * MIB, entries: 65_536, intervalMs: 3_600_000 },
};

/**
 * Returns the bytes that would be needed if records contained nothing else: the used share of each content record, and
 * one image.
 */
function neededBytes(catalogPath: string): number {
  const catalog = Catalog.openForReading(inlineSystem(), catalogPath);
  try {
    const used = new Map<number, number>();
    for (const [, recordId, size] of [...catalog.gc.contentUses()].flat()) {
      if (recordId !== null) used.set(recordId, (used.get(recordId) ?? 0) + size);
    }
    let bytes = catalog.state.readImage().bytes;
    for (const [recordId, , , , recordBytes, rawBytes] of [...catalog.gc.records()].flat()) {
      bytes += recordBytes * Math.min(1, (used.get(recordId) ?? 0) / rawBytes);
    }
    return bytes;
  } finally {
    catalog.close();
  }
}

test('over many days of changes the store stays within what is needed, and a half', async (t) => {
  const home = scratchInMemory(t);
  const place = { store: path.join(home, 'store'), client: 'me' };
  const source = path.join(home, 'tree');
  const random = seededRandom(seed);
  const write = (file: number, day: number): void => {
    const directory = folderIn(source, `d${Math.floor(file / FILES_IN_DIRECTORY)}`);
    const bytes = 500 + Math.floor(random.next() * 6000);
    fs.writeFileSync(path.join(directory, `f${file}`), text(`${seed} ${file} ${day}`, bytes));
  };
  for (let file = 0; file < files; file += 1) write(file, 0);
  const client = path.join(place.store, 'me');
  const { catalogPath } = { catalogPath: path.join(client, 'tardis.db') };
  let most = 0;
  for (let day = 1; day <= days; day += 1) {
    for (let change = 0; change < files * CHANGED; change += 1) {
      write(Math.floor(random.next() * files), day);
    }
    const options = { create: day === 1, password: PASSWORD, settings: SETTINGS, storage: STORAGE };
    await backupInline(inlineSystem(), place, [source], options);
    if (day <= KEPT_DAYS) continue;
    await deleteInline(place, [day - KEPT_DAYS]);
    await collectInline(place, { frames: await frameTools(place), limits: STORAGE.store });
    const ratio = sizeOf(path.join(client, 'packs')) / neededBytes(catalogPath);
    if (day > 2 * KEPT_DAYS) most = Math.max(most, ratio);
  }
  const packs = fs.readdirSync(path.join(client, 'packs')).length;
  const bytes = sizeOf(path.join(client, 'packs'));
  t.log(`seed ${seed}: ${days} days, at most ${most.toFixed(2)} times what is needed`);
  t.log(
    `at the end ${packs} packs of ${bytes} bytes, the catalog ${fs.statSync(catalogPath).size}`,
  );
  t.true(most <= MOST_RATIO, `${most}`);
  openClientDirectory(inlineSystem(), place);
  const output = path.join(home, 'out');
  const failures = await restoreInline(inlineSystem(), place, { paths: [source], output }).catch(
    () => undefined,
  );
  t.is(failures, undefined, 'without its keys nothing is restored');
});
