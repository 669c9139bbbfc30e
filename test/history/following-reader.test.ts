/** A reader of objects that other machines may delete catches up before a content is located again. */
import test from 'ava';
import { FollowingReader, type ObjectReader } from '../../src/history/index.js';
import { TardisError } from '../../src/errors/index.js';
import { rejectedCode } from '../helpers/codes.js';

function absent(): Error {
  return Object.assign(new Error('ENOENT: no such object'), { code: 'ENOENT' });
}

/** Returns a reader of one object. */
function readerOf(name: string): ObjectReader {
  return {
    read: async (wanted) => {
      if (wanted !== name) throw absent();
      return 1;
    },
    close: () => undefined,
  };
}

test('a missing object makes a reader look for new commits once, and then fails', async (t) => {
  let looks = 0;
  const reader = new FollowingReader(readerOf('there'), async () => {
    looks += 1;
  });
  const target = Buffer.alloc(1);
  t.is(await reader.read('there', 0, target, 1), 1);
  t.is(looks, 0);
  for (let turn = 0; turn < 2; turn += 1) {
    await t.throwsAsync(reader.read('gone', 0, target, 1), { code: 'ENOENT' });
    t.is(looks, 1);
  }
});

test('a bucket that cannot be read is named in place of the missing object', async (t) => {
  const reader = new FollowingReader(readerOf('there'), async () => {
    throw new TardisError('BUCKET_UNREACHABLE', 'away');
  });
  const reading = reader.read('gone', 0, Buffer.alloc(1), 1);
  t.is(await rejectedCode(reading), 'BUCKET_UNREACHABLE');
});
