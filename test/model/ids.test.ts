/** Numbers of different kinds are different types; the compiler is the test, since it rejects a needless exception. */
import test from 'ava';
import {
  type ContentId,
  contentIdOf,
  type DirectoryId,
  type RecordId,
  recordIdOf,
  type SetNumber,
  type SlotNumber,
} from '../../src/model/index.js';
import type { RowOf } from '../../src/system/row-shapes.js';

function inSet(set: SetNumber, directory: DirectoryId): number {
  return set * 1000 + directory;
}

test('a number of one kind does not fit where another kind is expected', (t) => {
  const [set, directory, slot]: [SetNumber, DirectoryId, SlotNumber] = [1, 2, 4];
  const content = contentIdOf(3);
  t.is(inSet(set, directory), 1002);
  t.is(inSet(set + 1, 5), 2005);
  // @ts-expect-error the two are exchanged
  t.is(inSet(directory, set), 2001);
  // @ts-expect-error a content is no directory
  t.is(inSet(set, content), 1003);
  // @ts-expect-error a slot is not the id of its directory
  t.is(inSet(set, slot), 1004);
});

test('a plain number is neither a content nor a record, and a row has them by its shape', (t) => {
  const both = (content: ContentId, record: RecordId): number => content * 1000 + record;
  t.is(both(contentIdOf(1), recordIdOf(2)), 1002);
  // @ts-expect-error a plain number is no content
  t.is(both(1, recordIdOf(2)), 1002);
  // @ts-expect-error a plain number is no record
  t.is(both(contentIdOf(1), 2), 1002);
  // @ts-expect-error a record is no content
  t.is(both(recordIdOf(1), recordIdOf(2)), 1002);
  // @ts-expect-error a sum is a plain number, since nothing has checked it
  t.is(both(contentIdOf(1) + 1, recordIdOf(2)), 2002);
  const row = [contentIdOf(1), recordIdOf(2)] as RowOf<readonly ['content', 'record']>;
  t.is(both(...row), 1002);
  const plain: RowOf<readonly ['integer', 'integer']> = [1, 2];
  // @ts-expect-error the shape has only integers
  t.is(both(...plain), 1002);
});
