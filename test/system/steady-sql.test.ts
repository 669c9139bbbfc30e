/** Statements keep their plans: parameters are hidden from the planner, and mean what they meant. */
import path from 'node:path';
import test from 'ava';
import { nodeSystem, steadySql } from '../../src/system/index.js';
import { scratch } from '../helpers/scratch.js';

test('a parameter gets a sign, that of a limit a sum', (t) => {
  t.is(
    steadySql('SELECT a FROM t WHERE b = ? AND (c, d) > (?, ?) ORDER BY a LIMIT ? OFFSET ?'),
    'SELECT a FROM t WHERE b = +? AND (c, d) > (+?, +?) ORDER BY a LIMIT (? + 0) OFFSET +?',
  );
  t.is(steadySql('INSERT INTO t VALUES (?, NULL)'), 'INSERT INTO t VALUES (+?, NULL)');
});

test('values of every type are stored, found and bounded as with bare parameters', (t) => {
  const file = path.join(scratch(t), 'db');
  const database = nodeSystem().openDatabase(file, { readonly: false });
  database.exec('CREATE TABLE t (a INTEGER, b BLOB, PRIMARY KEY (a, b)) WITHOUT ROWID');
  const put = database.prepare('INSERT INTO t VALUES (?, ?)');
  const values = [Buffer.from([0, 255]), 'text', 7.5, 1n << 62n];
  for (const value of values) put.run(1, value);
  const find = database.prepare('SELECT b FROM t WHERE a = ? AND b = ?').pluck().safeIntegers();
  for (const value of values) t.deepEqual(find.get(1, value), value);
  const page = database.prepare('SELECT b FROM t WHERE a = ? ORDER BY b LIMIT ? OFFSET ?').pluck();
  t.is(page.all(1, 3, 0).length, 3);
  t.is(page.all(1, -1, 1).length, 3);
  t.is(page.all(2, 3, 0).length, 0);
  const plan = database.prepare('EXPLAIN QUERY PLAN SELECT b FROM t WHERE a = ? AND b > ? LIMIT ?');
  const [{ detail }] = plan.all(1, 'a', 1) as [{ detail: string }];
  t.regex(detail, /SEARCH t USING PRIMARY KEY \(a=\? AND b>\?\)/, 'the key is searched');
  database.close();
});
