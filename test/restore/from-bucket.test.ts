/** Restores from a bucket: records are fetched while others are restored. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { catchUp } from '../../src/store/writer/index.js';
import { backUpFrom, restoreFrom, sharedClient } from '../helpers/bucket-machines.js';
import { inlineSystem } from '../helpers/inline.js';
import { folderIn, scratchInMemory } from '../helpers/scratch.js';
import { differences, look, noise } from '../helpers/tree.js';
import type { Objects } from '../support/memory-object-store.js';

const FILES = 40;
const FILE_BYTES = 1 << 20;
const PACK_BYTES = 64 << 20;
/** Ranges of 4 MiB that are fetched at once. */
const AT_ONCE = 4;
/** Turns of the event loop after which a request no longer waits for others. */
const MOST_TURNS = 2000;

test('a restore has as many requests under way as there is room for, also with one worker', async (t) => {
  const objects: Objects = new Map();
  const on = await sharedClient(t, objects);
  const home = scratchInMemory(t);
  const source = folderIn(home, 'tree');
  for (let file = 0; file < FILES; file += 1) {
    fs.writeFileSync(path.join(source, `f${file}`), noise(file, FILE_BYTES));
  }
  const large = { packBytes: PACK_BYTES, packContentBytes: PACK_BYTES };
  const storage = {
    store: large,
    deltas: { maxChain: 5, maxChangePercent: 50, saveFull: false },
    checkpoint: { bytes: PACK_BYTES, entries: 100_000, intervalMs: 3_600_000 },
  };
  await backUpFrom(on(), source, { storage });
  let [coming, most, requests] = [0, 0, 0];
  const machine = on(async (kind, name) => {
    if (kind !== 'read' || !name.includes('/packs/')) return;
    requests += 1;
    coming += 1;
    most = Math.max(most, coming);
    for (let turn = 0; turn < MOST_TURNS; turn += 1) {
      if (most >= AT_ONCE) break;
      await new Promise((resolve) => setImmediate(resolve));
    }
    coming -= 1;
  });
  await catchUp(inlineSystem(), machine);
  const output = path.join(home, 'out');
  t.deepEqual(await restoreFrom(machine, { source, output }), []);
  t.deepEqual(differences(look(source), look(path.join(output, 'tree'))), []);
  t.is(most, AT_ONCE);
  t.true(requests <= FILES / 2, `${requests} requests`);
});
