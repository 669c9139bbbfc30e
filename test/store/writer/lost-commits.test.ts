/** A lost commit record right after an image loses no set: later commits are applied, and the damage is reported. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import {
  DirectoryBackend,
  listPacks,
  packName,
  RecordKind,
  scanPack,
} from '../../../src/store/index.js';
import { nodeSystem } from '../../../src/system/index.js';
import { dumpHistory, inlineLab, type Place, rebuildInline } from '../../helpers/inline.js';
import { file, text } from '../../helpers/tree.js';
import { deleteInline, collectInline } from '../../helpers/garbage.js';

/** Returns the path of the pack that ends with the commit of an image. */
async function imagePack({ store, client }: Place): Promise<string> {
  const home = path.join(store, client);
  const backend = new DirectoryBackend(home, nodeSystem().files);
  try {
    for (const pack of await listPacks(backend)) {
      for await (const { header } of scanPack(backend, pack, 0)) {
        if (header.kind === RecordKind.image) return path.join(home, packName(pack));
      }
    }
  } finally {
    backend.close();
  }
  throw new Error('there is no image');
}

test('a set behind an image whose commit is lost stays, and the rebuild reports that something is damaged', async (t) => {
  const { place, source, backup } = inlineLab(t, [file('one', text(1, 5000))]);
  await backup();
  fs.writeFileSync(path.join(source, 'one'), text(2, 5000));
  await backup();
  await deleteInline(place, [1]);
  await collectInline(place, { isThorough: true, wasteRatio: 0.01 });
  for (const name of ['two', 'three']) {
    fs.writeFileSync(path.join(source, name), text(name, 3000));
    await backup();
  }
  const before = await dumpHistory(place);
  t.is(before.filter((line) => line.startsWith('set ')).length, 3);
  const pack = await imagePack(place);
  fs.truncateSync(pack, fs.statSync(pack).size - 1);
  fs.rmSync(path.join(place.store, place.client, 'tardis.db'));
  const { damagedRecords } = await rebuildInline(place);
  t.true(damagedRecords > 0);
  t.deepEqual(await dumpHistory(place), before);
});
