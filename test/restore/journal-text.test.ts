/** The text of a restore's journal. */
import test from 'ava';
import { FailedBefore, formatJournal, parseJournal } from '../../src/restore/index.js';

const failed = FailedBefore.of([Buffer.from([0xff, 0x2f, 0x61]), Buffer.from('plain')]);
const FULL = { set: 7, boot: 'a boot', isEnded: true, firstSinceNs: -(2n ** 62n), failed };
const UNKNOWN = {
  set: undefined,
  boot: '',
  isEnded: false,
  firstSinceNs: undefined,
  failed: FailedBefore.none,
};

test('a journal is read as it was written', (t) => {
  t.deepEqual(parseJournal(formatJournal(FULL).toString()), FULL);
  const begun = { ...FULL, isEnded: false, firstSinceNs: undefined, failed: FailedBefore.none };
  t.deepEqual(parseJournal(formatJournal(begun).toString()), begun);
});

test('a part of a journal gives no text', (t) => {
  const text = formatJournal(FULL).toString();
  for (let length = 0; length < text.length; length += 1) {
    t.deepEqual(parseJournal(text.slice(0, length)), UNKNOWN, `${length} bytes`);
  }
});

test('a file of somebody else that looks alike gives no value of a wrong type', (t) => {
  const read = parseJournal(
    '{"set":"7","boot":5,"ended":"yes","first":"1e9","failed":[5,{},"YQ=="]}',
  );
  t.like(read, { set: undefined, boot: '', isEnded: false, firstSinceNs: undefined });
  t.true(read.failed.has(Buffer.from('a')));
  t.false(read.failed.has(Buffer.from('b')));
  for (const text of ['{}', '{"failed":null}', '{"first":"123456789012345678901"}', '{,}']) {
    t.deepEqual(parseJournal(text), UNKNOWN, text);
  }
});
