import test from 'ava';
import type { History } from '../../../src/history/index.js';
import { TardisError } from '../../../src/errors/index.js';
import { HistoryPool } from '../../../src/web/api/index.js';
import { RecordDecoder } from '../../../src/contents/index.js';
import { rejectedCode } from '../../helpers/codes.js';
import { inlineSystem } from '../../helpers/inline.js';
import { until } from '../../helpers/until.js';

/** Returns a pool of two, and what opens a history that notes its end. */
function poolOfTwo(idleMs: number) {
  const system = inlineSystem();
  const pool = new HistoryPool(system, new RecordDecoder(system), { most: 2, idleMs });
  const closed: string[] = [];
  const open = (name: string) => async () => {
    const objects = () => ({ read: async () => 0, close: () => undefined });
    const history = { client: name, objects, close: () => closed.push(name) };
    return { history: history as unknown as History, isSealed: false };
  };
  return { pool, closed, open };
}

test('open histories are shared, bounded, and make room only when nobody uses them', async (t) => {
  const { pool, closed, open } = poolOfTwo(60_000);
  const [a, again, b] = [
    await pool.lease('a', open('a')),
    await pool.lease('a', open('another')),
    await pool.lease('b', open('b')),
  ];
  t.is(again.history, a.history);
  t.is(await rejectedCode(pool.lease('c', open('c'))), 'TOO_MANY_REQUESTS');
  a.release();
  t.is(await rejectedCode(pool.lease('c', open('c'))), 'TOO_MANY_REQUESTS');
  again.release();
  const c = await pool.lease('c', open('c'));
  t.deepEqual(closed, ['a']);
  c.release();
  b.release();
  await pool.close();
  t.deepEqual(closed.toSorted(), ['a', 'b', 'c']);
});

test('a history that nobody uses is closed after a while, and one that cannot be opened is tried again', async (t) => {
  const { pool, closed, open } = poolOfTwo(1);
  (await pool.lease('a', open('a'))).release();
  await until(() => closed.length > 0);
  t.is(pool.size, 0);
  const fails = async () => {
    throw new TardisError('NO_SUCH_CLIENT', 'as the test wants');
  };
  t.is(await rejectedCode(pool.lease('a', fails)), 'NO_SUCH_CLIENT');
  const lease = await pool.lease('a', open('a'));
  t.is(lease.history.client, 'a');
  lease.release();
  await pool.close();
});
