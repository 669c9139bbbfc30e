/** The set in which a version that was found by its name is shown. */
import test from 'ava';
import { type BackupSet, NamePlaces } from '../../src/history/index.js';
import type { SetNumber } from '../../src/model/index.js';

test('a version is shown in the newest complete set, and in an unfinished one only if no other has it', (t) => {
  const numbers = [1, 2, 3] as SetNumber[];
  const sets = numbers.map((set) => ({
    set,
    state: Number(set) === 3 ? 'unfinished' : 'complete',
  }));
  const roots = new Map(
    numbers.map((set) => [set, [Buffer.from(Number(set) === 1 ? '/other' : '/home')]]),
  );
  const places = new NamePlaces({} as never, sets as unknown as BackupSet[], roots);
  const seen = (firstSet: number): number[] => places.seenIn({ firstSet, lastSet: undefined });
  t.deepEqual(seen(1), [2, 1]);
  t.deepEqual(seen(3), [3]);
});
