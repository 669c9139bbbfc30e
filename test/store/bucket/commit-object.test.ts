/** Commit objects are read whole or not at all: any change of one is damage, and never a crash. */
import test from 'ava';
import {
  buildCommit,
  buildEvent,
  buildHeads,
  buildLabel,
  addToRangeChecksum,
  LABEL_BYTES,
  logPack,
  parseCommitObject,
} from '../../../src/store/index.js';
import { thrownCode } from '../../helpers/codes.js';

const COUNTERS = { set: 1, root: 1, directory: 1, sequence: 9 };
const COMMIT = 7;

/** Returns a commit object with one event, whose commit record has these changes. */
function objectOf(changes: object = {}, behind: Uint8Array = new Uint8Array(0)): Buffer {
  const event = buildEvent(8, { type: 'setting', key: 'KeepDaily', value: '1' });
  const heads = buildHeads(Buffer.alloc(16, 1), []);
  const checksum = addToRangeChecksum(addToRangeChecksum(0, event), heads);
  const to = LABEL_BYTES + event.length + heads.length;
  const ranges = [{ pack: logPack(COMMIT), from: LABEL_BYTES, to, checksum }];
  const body = { commit: COMMIT, previous: 0, ranges, objects: [], counters: COUNTERS, ...changes };
  const label = buildLabel(logPack(COMMIT), undefined);
  return Buffer.concat([label, event, heads, buildCommit(9, body), behind]);
}

test('a commit object gives back what it covers', (t) => {
  const { body, records } = parseCommitObject(objectOf(), COMMIT);
  t.is(body.commit, COMMIT);
  t.deepEqual(
    records.map(({ location }) => location.pack),
    [logPack(COMMIT), logPack(COMMIT)],
  );
});

test('every flipped bit in a commit object is damage', (t) => {
  const object = objectOf();
  for (let bit = 0; bit < 8 * object.length; bit += 1) {
    const changed = Buffer.from(object);
    changed[bit >> 3]! ^= 1 << (bit & 7);
    const code = thrownCode(() => parseCommitObject(changed, COMMIT));
    t.true(code === 'RECORD_DAMAGED' || code === 'STORE_NEWER', `bit ${bit}: ${code}`);
  }
});

test('a commit object that is cut off, goes on, or is another one is damage', (t) => {
  const object = objectOf();
  for (let bytes = 0; bytes < object.length; bytes += 1) {
    const cut = object.subarray(0, bytes);
    t.is(
      thrownCode(() => parseCommitObject(cut, COMMIT)),
      'RECORD_DAMAGED',
      `${bytes} bytes`,
    );
  }
  const wrong = [
    [objectOf(), COMMIT + 1],
    [objectOf({ commit: COMMIT + 1 }), COMMIT],
    [objectOf({ ranges: [] }), COMMIT],
    [objectOf({}, Buffer.alloc(1)), COMMIT],
    [objectOf({}, buildEvent(10, { type: 'setting', key: 'KeepDaily' })), COMMIT],
  ] as const;
  for (const [bytes, commit] of wrong) {
    t.is(
      thrownCode(() => parseCommitObject(bytes, commit)),
      'RECORD_DAMAGED',
    );
  }
});
