/** A catalog with damaged counters gives no number out a second time. */
import test from 'ava';
import { StoreWriter } from '../../../src/store/writer/index.js';
import { openClientDirectory } from '../../../src/store/index.js';
import { nodeSystem } from '../../../src/system/index.js';
import { changeCatalog } from '../../helpers/changed-catalog.js';
import { rejectedCode } from '../../helpers/codes.js';
import { dumpHistory, inlineLab, rebuildInline, SMALL_STORE } from '../../helpers/inline.js';
import { dir, file } from '../../helpers/tree.js';

const system = nodeSystem();

for (const counter of ['set', 'root', 'directory']) {
  test(`a counter that is behind the numbers in use is damage of the catalog: ${counter}`, async (t) => {
    const { place, backup } = inlineLab(t, [dir('deep', [file('one', '1')])]);
    await backup();
    const before = await dumpHistory(place);
    changeCatalog(place.store, (catalog) => {
      catalog.exec(`UPDATE state SET value = 0 WHERE key = 'counter.${counter}'`);
    });
    const directory = openClientDirectory(system, place);
    const opening = StoreWriter.open(system, directory, SMALL_STORE.store);
    t.is(await rejectedCode(opening), 'CATALOG_DAMAGED');
    t.is(
      await rejectedCode(backup()),
      'CATALOG_DAMAGED',
      'a backup gives no number out a second time',
    );
    await rebuildInline(place);
    t.deepEqual(await dumpHistory(place), before);
    await backup();
  });
}
