/** Requests between threads, and their replies, over a list in place of a channel. */
import test from 'ava';
import { TardisError } from '../../src/errors/index.js';
import { type CallRequest, Calls, replyTo } from '../../src/system/index.js';
import { rejectedCode } from '../helpers/codes.js';

function lab(): { calls: Calls<string, number>; sent: CallRequest<string>[] } {
  const sent: CallRequest<string>[] = [];
  return { calls: new Calls((message) => sent.push(message)), sent };
}

const lengthOf = (text: string): number => {
  if (text === '') throw new TardisError('NO_SUCH_PATH', 'nothing', { path: 'p' });
  return text.length;
};

test('replies in any order belong to their requests', async (t) => {
  const { calls, sent } = lab();
  const results = ['a', 'bbb', 'cc'].map((text) => calls.request(text));
  t.deepEqual(
    sent.map(({ request }) => request),
    ['a', 'bbb', 'cc'],
  );
  for (const message of sent.toReversed()) calls.take(await replyTo(message, lengthOf));
  t.deepEqual(await Promise.all(results), [1, 3, 2]);
});

test('an error of the work is thrown with its code and context; later requests go on', async (t) => {
  const { calls, sent } = lab();
  const failed = calls.request('');
  calls.take(structuredClone(await replyTo(sent[0]!, lengthOf)));
  const error = await t.throwsAsync<TardisError>(failed, { instanceOf: TardisError });
  t.is(error.code, 'NO_SUCH_PATH');
  t.deepEqual(error.context, { path: 'p' });
  const next = calls.request('four');
  calls.take(await replyTo(sent[1]!, async (text) => lengthOf(text)));
  t.is(await next, 4);
});

test('a reply without a request, or a second one, changes nothing', async (t) => {
  const { calls, sent } = lab();
  calls.take({ call: 1, result: 7 });
  const first = calls.request('a');
  calls.take({ call: 9, result: 7 });
  calls.take(await replyTo(sent[0]!, lengthOf));
  calls.take({ call: 1, result: 7 });
  t.is(await first, 1);
});

test('after the end of the other side all requests fail, those to come without being sent', async (t) => {
  const { calls, sent } = lab();
  const waiting = [calls.request('a'), calls.request('b')];
  calls.fail(new TardisError('INTERNAL', 'the thread has ended'));
  calls.fail(new TardisError('INTERRUPTED', 'later'));
  for (const one of [...waiting, calls.request('c')]) t.is(await rejectedCode(one), 'INTERNAL');
  t.is(sent.length, 2);
  calls.take({ call: 1, result: 7 });
});
