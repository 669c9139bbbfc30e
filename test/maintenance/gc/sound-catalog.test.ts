// Pace: slow
/** A damaged catalog neither causes data to be deleted nor is copied into a rewritten client. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { PageSums } from '../../../src/store/catalog/index.js';
import { nodeSystem } from '../../../src/system/index.js';
import { changeCatalog } from '../../helpers/changed-catalog.js';
import { rejectedCode } from '../../helpers/codes.js';
import {
  dumpHistory,
  inlineLab,
  inlineSystem,
  type Place,
  rebuildInline,
} from '../../helpers/inline.js';
import { freshKeys, rewriteInline } from '../../helpers/rewrites.js';
import { flipAt } from '../../helpers/rot.js';
import { ownState } from '../../helpers/scratch.js';
import { dir, file, text } from '../../helpers/tree.js';
import { deleteInline, collectInline } from '../../helpers/garbage.js';

/** With this many more bytes, a session does not check the whole catalog when it opens it. */
const COMPARED_AT_ONCE_BYTES: number = 16 << 20;
/** The catalog is opened for reading its head first, and then to compare its pages. */
const CHANGES_AT = 3;
const NAME = 'a name that is found';
ownState(test);

/** Makes a client with three sets, drops the first one, and flips a bit in a name in its catalog. */
async function damaged(t: ExecutionContext): Promise<{ place: Place; packs: () => string[] }> {
  const { place, source, backup } = inlineLab(t, [dir(NAME, [file('one', text(1, 9000))])]);
  for (const seed of [2, 3, 4]) {
    fs.writeFileSync(path.join(source, 'changes'), text(seed, 5000));
    await backup();
  }
  await deleteInline(place, [1]);
  const catalog = path.join(place.store, 'me', 'tardis.db');
  const bytes = fs.readFileSync(catalog);
  const name = Math.min(bytes.indexOf(NAME), bytes.lastIndexOf(NAME)); // at a place that nothing below writes to
  changeCatalog(place.store, (database) => {
    const fill = database.prepare("INSERT INTO settings VALUES ('large', ?)");
    fill.run(Buffer.alloc(COMPARED_AT_ONCE_BYTES));
  });
  PageSums.takeAll(nodeSystem().files, catalog);
  flipAt(catalog, name);
  return { place, packs: () => fs.readdirSync(path.join(place.store, 'me', 'packs')).sort() };
}

test('nothing is deleted because of a damaged catalog', async (t) => {
  const { place, packs } = await damaged(t);
  const before = packs();
  t.is(await rejectedCode(collectInline(place)), 'CATALOG_DAMAGED');
  t.deepEqual(packs(), before);
  await rebuildInline(place);
  t.true((await collectInline(place)).isDone);
  t.is((await dumpHistory(place)).filter((line) => line.startsWith('set ')).length, 2);
});

test('a catalog that changes while its pages are compared is compared again under the lock', async (t) => {
  const { place, packs } = await damaged(t);
  const before = packs();
  const catalog = path.join(place.store, 'me', 'tardis.db');
  const { files } = nodeSystem();
  let reads = 0;
  const open: typeof files.open = (name, how) => {
    // As if a session had written something at this moment.
    if (name === catalog && how === 'read' && (reads += 1) === CHANGES_AT) {
      fs.utimesSync(catalog, new Date(), new Date());
    }
    return files.open(name, how);
  };
  const system = inlineSystem({ files: { ...files, open } });
  t.is(await rejectedCode(collectInline(place, {}, system)), 'CATALOG_DAMAGED');
  t.true(reads > CHANGES_AT);
  t.deepEqual(packs(), before);
});

test('a catalog that never stays as it is counts as in use', async (t) => {
  const { place, packs } = await damaged(t);
  const before = packs();
  const catalog = path.join(place.store, 'me', 'tardis.db');
  const { files } = nodeSystem();
  const open: typeof files.open = (name, how) => {
    if (name === catalog && how === 'read') fs.utimesSync(catalog, new Date(), new Date());
    return files.open(name, how);
  };
  const system = inlineSystem({ files: { ...files, open } });
  t.is(await rejectedCode(collectInline(place, {}, system)), 'CLIENT_BUSY');
  t.deepEqual(packs(), before);
});

test('a client is not rewritten from a damaged catalog', async (t) => {
  const { place } = await damaged(t);
  const keys = await freshKeys(undefined);
  t.is(await rejectedCode(rewriteInline(inlineSystem(), place, { keys })), 'CATALOG_DAMAGED');
  t.true(fs.existsSync(path.join(place.store, 'me', 'format.json')), 'it is there as it was');
  await rebuildInline(place);
  t.is((await rewriteInline(inlineSystem(), place, { keys }))?.sets, 2);
});
