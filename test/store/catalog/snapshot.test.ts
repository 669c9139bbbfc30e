/** Copies of a catalog: a session that ends meanwhile makes none of them fail, or lose what it wrote. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { snapshotCatalog } from '../../../src/store/catalog/index.js';
import { type Files, nodeSystem, type System } from '../../../src/system/index.js';
import { folderIn, scratchInMemory } from '../../helpers/scratch.js';

const ROWS = 200;
/** More calls than a copy makes. */
const MOST_CALLS = 100;

test('a log that disappears at any call is no error, and no row is missing', (t) => {
  const scratch = scratchInMemory(t);
  let callsMade = MOST_CALLS;
  for (let at = 0; at <= callsMade; at += 1) {
    const folder = folderIn(scratch, String(at));
    const catalog = path.join(folder, 'catalog.db');
    const writer = nodeSystem().openDatabase(catalog, { readonly: false });
    writer.pragma('journal_mode = WAL');
    writer.exec('CREATE TABLE numbers (number INTEGER)');
    const insert = writer.prepare('INSERT INTO numbers VALUES (?)');
    for (let row = 0; row < ROWS; row += 1) insert.run(row);
    t.true(fs.existsSync(`${catalog}-wal`));
    const { system, calls } = beforeCall(at, () => writer.close());
    const copy = path.join(folder, 'copy.db');
    snapshotCatalog(system, catalog, copy);
    callsMade = Math.min(callsMade, calls());
    using read = nodeSystem().openDatabase(copy, { readonly: true });
    t.is(read.prepare('SELECT count(*) FROM numbers').pluck().get(), ROWS, `at call ${at}`);
    t.is(fs.existsSync(`${catalog}-wal`), at >= calls(), `at call ${at}`);
    if (at >= calls()) writer.close();
  }
  t.true(callsMade > 5 && callsMade < MOST_CALLS);
});

/** Returns a system that runs `act` before the call numbered `at` of those that look at and open files. */
function beforeCall(at: number, act: () => void): { system: System; calls: () => number } {
  const real = nodeSystem();
  let calls = 0;
  const counted = <A extends unknown[], T>(call: (...args: A) => T) => {
    return (...args: A): T => {
      if (calls === at) act();
      calls += 1;
      return call(...args);
    };
  };
  const files: Files = {
    ...real.files,
    status: counted(real.files.status),
    open: counted(real.files.open),
  };
  const native = { ...real.native, statRow: counted(real.native.statRow) };
  return { system: { ...real, files, native }, calls: () => calls };
}
