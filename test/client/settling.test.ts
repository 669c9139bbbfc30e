/** A client waits for the server's report on its purge: the set is complete, whatever happens to that report. */
import test from 'ava';
import { untilSettled } from '../../src/client/index.js';
import { TardisError } from '../../src/errors/index.js';
import type { Head } from '../../src/transport/index.js';

const ANSWER: Head<'settled'> = {
  purged: [1, 2],
  early: [3],
  young: 3,
  cautious: true,
  contents: 4,
  packs: 5,
  freedBytes: 6,
  deletedFiles: 7,
  deletedBytes: 8,
  isDone: true,
  inDoubt: false,
  failure: '',
};

test('the report of the work after a set is that of the server', async (t) => {
  const { inDoubt: _, failure: __, cautious: ___, ...reported } = ANSWER;
  const settled = await untilSettled(Promise.resolve(ANSWER), () => undefined);
  t.deepEqual(settled, { ...reported, isCautious: true, isClockInDoubt: false });
  const odd = { ...ANSWER, failure: 'a\u001b[2Jb' };
  const shown = await untilSettled(Promise.resolve(odd), () => undefined);
  t.is(shown.failure, 'a\\x1b[2Jb', 'no control character of the server reaches a terminal');
});

test('a connection that is lost meanwhile leaves the set complete, and is reported', async (t) => {
  const lost = new TardisError('CONNECTION_LOST', 'the connection was cut');
  const never = new Promise<never>(() => undefined);
  const settled = await untilSettled(never, (report) => report(lost));
  t.false(settled.isDone);
  t.is(settled.failure, 'the result of the purge is not known: the connection was cut');
  const refused = await untilSettled(Promise.reject(lost), () => undefined);
  t.is(refused.failure, settled.failure);
});
