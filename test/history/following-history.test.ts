/** A history whose objects other machines may delete catches up before a content is located again. */
import test from 'ava';
import { followingHistory, type History, type ObjectReader } from '../../src/history/index.js';
import { TardisError } from '../../src/errors/index.js';
import { rejectedCode } from '../helpers/codes.js';

function absent(): Error {
  return Object.assign(new Error('ENOENT: no such object'), { code: 'ENOENT' });
}

/** Returns a history with one object. */
function historyOf(name: string): History {
  const objects = (): ObjectReader => ({
    read: async (wanted) => {
      if (wanted !== name) throw absent();
      return 1;
    },
    close: () => undefined,
  });
  return { client: 'me', objects } as Partial<History> as History;
}

test('a missing object makes a history look for new commits once, and then fails', async (t) => {
  let looks = 0;
  const history = followingHistory(historyOf('there'), async () => {
    looks += 1;
  });
  t.is(history.client, 'me');
  const reader = history.objects();
  const target = Buffer.alloc(1);
  t.is(await reader.read('there', 0, target, 1), 1);
  t.is(looks, 0);
  await t.throwsAsync(reader.read('gone', 0, target, 1), { code: 'ENOENT' });
  t.is(looks, 1);
});

test('a bucket that cannot be read is named in place of the missing object', async (t) => {
  const history = followingHistory(historyOf('there'), async () => {
    throw new TardisError('BUCKET_UNREACHABLE', 'away');
  });
  const reading = history.objects().read('gone', 0, Buffer.alloc(1), 1);
  t.is(await rejectedCode(reading), 'BUCKET_UNREACHABLE');
});
