/** Rows that a client sends although their entries are as before: only their flags may be new. */
import test from 'ava';
import { RowFlag } from '../../src/model/index.js';
import { openClientDirectory } from '../../src/store/index.js';
import { inlineLab, inlineSystem } from '../helpers/inline.js';
import { file } from '../helpers/tree.js';
import { ManualClock } from '../support/manual-clock.js';

const HOUR_MS = 3_600_000;

test('a file that was read again and is as before keeps its version, which is settled then', async (t) => {
  const { place, backup } = inlineLab(t, [file('same', Buffer.from('some text'))]);
  // By the first clock, the file is as new as it can be.
  const clock = new ManualClock(Date.now() - HOUR_MS);
  const system = inlineSystem({ clock });
  const versions = (): unknown => {
    const { catalogPath } = openClientDirectory(system, place);
    using database = system.openDatabase(catalogPath, { readonly: true });
    const named =
      "SELECT first_set, last_set, flags FROM entries WHERE name = CAST('same' AS BLOB)";
    return database.prepare(named).all();
  };
  await backup({}, system);
  t.deepEqual(versions(), [{ first_set: 1, last_set: null, flags: RowFlag.unsettled }]);
  clock.advance(2 * HOUR_MS);
  await backup({}, system);
  t.deepEqual(versions(), [{ first_set: 1, last_set: null, flags: 0 }]);
});
