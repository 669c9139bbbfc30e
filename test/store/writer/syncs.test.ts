/**
 * Number of fsyncs of a checkpoint: one of the pack, one of its name if it is new, one of the commit record, and one of
 * SQLite's log. SQLite's own fsyncs are derived from its calls, as strace shows them: one for a commit, and up to three
 * for a WAL checkpoint (the log, the file, the log's new header).
 */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import type { StorageOptions } from '../../../src/server/index.js';
import type { System } from '../../../src/system/index.js';
import { backupInline, inlineSystem, SMALL_STORE } from '../../helpers/inline.js';
import { folderIn, scratchInMemory } from '../../helpers/scratch.js';
import { noise } from '../../helpers/tree.js';

const KIB = 1 << 10;
const MOST_SYNCS = 4;
const FOLD_SYNCS = 3;

interface Counted {
  /** Number of fsyncs from one commit of the catalog to the next, without WAL checkpoints. */
  readonly checkpoints: number[];
  folds: number;
}

/** Returns a system that counts fsyncs, commits and WAL checkpoints. */
function counting(counted: Counted): System {
  const base = inlineSystem();
  const { files } = base;
  let syncs = 0;
  return {
    ...base,
    files: {
      ...files,
      sync: (fd) => ((syncs += 1), files.sync(fd)),
      syncDirectory: (directory) => ((syncs += 1), files.syncDirectory(directory)),
    },
    openDatabase: (file, options) => {
      const database = base.openDatabase(file, options);
      return {
        prepare: (sql) => database.prepare(sql),
        query: (sql, shape) => database.query(sql, shape),
        extend: () => database.extend(),
        exec: (sql) => {
          if (sql === 'COMMIT') {
            counted.checkpoints.push(syncs + 1);
            syncs = 0;
          }
          return database.exec(sql);
        },
        pragma: (text, options) => {
          if (text.startsWith('wal_checkpoint')) counted.folds += 1;
          return database.pragma(text, options);
        },
        close: () => database.close(),
        [Symbol.dispose]: () => void database.close(),
        get inTransaction() {
          return database.inTransaction;
        },
        get open() {
          return database.open;
        },
      };
    },
  };
}

/** A pack is as large as the data of one checkpoint, as by default. */
const STORAGE: StorageOptions = {
  ...SMALL_STORE,
  store: { packBytes: 96 * KIB, packContentBytes: 1024 * KIB },
};

test('a checkpoint takes at most four syncs', async (t) => {
  const top = scratchInMemory(t);
  const source = folderIn(top, 'tree');
  for (let index = 0; index < 200; index += 1) {
    fs.writeFileSync(path.join(source, `${index}`), noise(index, 30 * KIB));
  }
  const counted: Counted = { checkpoints: [], folds: 0 };
  const place = { store: path.join(top, 'store'), client: 'me' };
  await backupInline(counting(counted), place, [source], { create: true, storage: STORAGE });
  // The first commits create the schema, the client's first counters, and the directory of its first pack.
  const [, , , ...usual] = counted.checkpoints;
  t.true(usual.length > 30, `${usual.length} checkpoints`);
  t.true(Math.max(...usual) <= MOST_SYNCS, usual.join());
  const all = usual.reduce((sum, syncs) => sum + syncs, 0) + counted.folds * FOLD_SYNCS;
  const each = all / usual.length;
  t.true(each <= MOST_SYNCS, `${each} with ${counted.folds} times folding`);
  t.log(`${usual.length} checkpoints, ${each.toFixed(2)} syncs each`);
});
