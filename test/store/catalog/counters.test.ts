/** A catalog with damaged counters gives no number out a second time. */
import path from 'node:path';
import test from 'ava';
import { StoreWriter } from '../../../src/store/writer/index.js';
import { openClientDirectory } from '../../../src/store/index.js';
import { nodeSystem } from '../../../src/system/index.js';
import { changeCatalog } from '../../helpers/changed-catalog.js';
import { rejectedCode } from '../../helpers/codes.js';
import {
  backupInline,
  dumpHistory,
  inlineSystem,
  rebuildInline,
  SMALL_STORE,
} from '../../helpers/inline.js';
import { scratchInMemory } from '../../helpers/scratch.js';
import { dir, file, makeTree } from '../../helpers/tree.js';

const system = nodeSystem();

for (const counter of ['set', 'root', 'directory']) {
  test(`a counter that is behind the numbers in use is damage of the catalog: ${counter}`, async (t) => {
    const home = scratchInMemory(t);
    const source = path.join(home, 'tree');
    makeTree(source, [dir('deep', [file('one', '1')])]);
    const place = { store: path.join(home, 'store'), client: 'me' };
    await backupInline(inlineSystem(), place, [source], { create: true });
    const before = await dumpHistory(place);
    changeCatalog(place.store, (catalog) => {
      catalog.exec(`UPDATE state SET value = 0 WHERE key = 'counter.${counter}'`);
    });
    const directory = openClientDirectory(system, place);
    const opening = StoreWriter.open(system, directory, SMALL_STORE.store);
    t.is(await rejectedCode(opening), 'CATALOG_DAMAGED');
    t.is(
      await rejectedCode(backupInline(inlineSystem(), place, [source])),
      'CATALOG_DAMAGED',
      'a backup gives no number out a second time',
    );
    await rebuildInline(place);
    t.deepEqual(await dumpHistory(place), before);
    await backupInline(inlineSystem(), place, [source]);
  });
}
