/** A backup reads the sets before its own once, however many there are: a client may have thousands. */
import test from 'ava';
import type { SqlDatabase } from '../../src/system/index.js';
import { inlineLab, inlineSystem } from '../helpers/inline.js';
import { file } from '../helpers/tree.js';

/** Counts the calls of queries whose text contains a text. */
function counting(database: SqlDatabase, text: string, count: () => void): SqlDatabase {
  const query = database.query.bind(database);
  database.query = (sql, shape) => {
    const made = query(sql, shape);
    if (!sql.includes(text)) return made;
    const all = made.all.bind(made);
    made.all = (...values) => {
      count();
      return all(...values);
    };
    return made;
  };
  return database;
}

test('a backup reads all sets once, and the roots of as many of them after many backups as after few', async (t) => {
  const { backup } = inlineLab(t, [file('same', Buffer.from('some text'))]);
  let [lists, roots] = [0, 0];
  const plain = inlineSystem();
  const system = {
    ...plain,
    openDatabase: (...about: Parameters<typeof plain.openDatabase>) => {
      const database = plain.openDatabase(...about);
      counting(database, "FROM backup_sets WHERE state != 'superseded'", () => (lists += 1));
      return counting(database, 'FROM set_roots JOIN roots', () => (roots += 1));
    },
  };
  const counts: string[] = [];
  for (let run = 0; run < 12; run += 1) {
    [lists, roots] = [0, 0];
    await backup({ create: run === 0 }, system);
    counts.push(`${lists} ${roots}`);
  }
  t.is(counts.at(-1)!.split(' ')[0], '1');
  t.is(counts.at(-1), counts[4]);
});
