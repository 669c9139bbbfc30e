import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Access, openHistoryIn } from '../../src/history/index.js';
import { type ClientDirectory, openClientDirectory } from '../../src/store/index.js';
import { markDamaged } from '../../src/store/writer/index.js';
import type { System } from '../../src/system/index.js';

import { backupInline, inlineSystem, SMALL_STORE } from '../helpers/inline.js';
import { scratch } from '../helpers/scratch.js';
import { file, makeTree } from '../helpers/tree.js';

/** Longer than a writer waits for a reader. */
const SLICE_MS = 60_000;

/** Backs up one small file, and returns its client's directory. */
async function backedUp(t: ExecutionContext, system: System): Promise<ClientDirectory> {
  const home = scratch(t);
  const place = { store: path.join(home, 'store'), client: 'me' };
  makeTree(path.join(home, 'tree'), [file('name', 'content')]);
  await backupInline(inlineSystem(), place, [path.join(home, 'tree')], { create: true });
  return openClientDirectory(system, { ...place, catalogFile: 'tardis.db' });
}

test('a catalog that is replaced while it is opened is noticed', async (t) => {
  const system = inlineSystem();
  const directory = await backedUp(t, system);
  const { catalogPath } = directory;
  const replacing: System = {
    ...system,
    openDatabase: (...given) => {
      fs.copyFileSync(catalogPath, `${catalogPath}.other`);
      const opened = system.openDatabase(...given);
      fs.renameSync(`${catalogPath}.other`, catalogPath);
      return opened;
    },
  };
  using before = openHistoryIn(replacing, directory, Access.ofThisProcess());
  t.true((await before.reports.store()).isReplaced);
  using after = openHistoryIn(system, directory, Access.ofThisProcess());
  t.false((await after.reports.store()).isReplaced);
});

test('a thread that reads a store may write to it, and reads meanwhile', async (t) => {
  const system = inlineSystem();
  const directory = await backedUp(t, system);
  const history = openHistoryIn(system, directory, Access.ofThisProcess(), SLICE_MS);
  try {
    const { set } = await history.findSet(undefined);
    const [root] = await history.roots(set);
    const read = () =>
      history.list({
        directory: root!.directory,
        set,
        after: Buffer.alloc(0),
        limit: 10,
        withDigests: true,
      });
    const [entry] = await read();
    await history.whileWriting!(async () => {
      t.is((await read()).length, 1);
      await markDamaged(system, directory, SMALL_STORE.store, [entry!.digest!]);
      t.is((await read()).length, 1);
    });
    t.is((await read()).length, 1);
  } finally {
    history.close();
  }
});
