/** Numbers of different kinds are different types; the compiler is the test, since it rejects a needless exception. */
import test from 'ava';
import type { ContentId, DirectoryId, SetNumber, SlotNumber } from '../../src/model/index.js';

function inSet(set: SetNumber, directory: DirectoryId): number {
  return set * 1000 + directory;
}

test('a number of one kind does not fit where another kind is expected, and a plain one fits', (t) => {
  const [set, directory, content, slot]: [SetNumber, DirectoryId, ContentId, SlotNumber] = [
    1, 2, 3, 4,
  ];
  t.is(inSet(set, directory), 1002);
  t.is(inSet(set + 1, 5), 2005);
  // @ts-expect-error the two are exchanged
  t.is(inSet(directory, set), 2001);
  // @ts-expect-error a content is no directory
  t.is(inSet(set, content), 1003);
  // @ts-expect-error a slot is not the id of its directory
  t.is(inSet(set, slot), 1004);
});
