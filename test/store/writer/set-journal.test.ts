/** The rows of a set in the catalog, and their records: a checkpoint has both of each row. */
import test from 'ava';
import { RowFlag, RowReader } from '../../../src/model/index.js';
import { SetJournal, type StoreWriter } from '../../../src/store/writer/index.js';
import { NO_DIRECTORY, RowPlace } from '../../../src/system/index.js';
import { rejectedCode } from '../../helpers/codes.js';
import { entryOf, rowsOf } from '../../helpers/rows.js';

const DIRECTORY = { root: 0, directory: 9, isNew: true };

/** Returns a journal whose store only counts. */
function made(): {
  journal: SetJournal;
  done: { added: number; records: number; checkpoints: number; flags: unknown[] };
} {
  const done = { added: 0, records: 0, checkpoints: 0, flags: [] as unknown[] };
  const store = {
    catalog: {
      bulk: { addEntries: () => void (done.added += 1) },
      entries: { setFlags: (...values: unknown[]) => void done.flags.push(values) },
    },
    entriesWritten: 0,
    nextSequence: () => 1,
    appendOwn: () => void (done.records += 1),
    checkpoint: async () => void (done.checkpoints += 1),
  };
  return { journal: new SetJournal(store as unknown as StoreWriter, 1), done };
}

test('rows that are added to the catalog must be recorded before a checkpoint', async (t) => {
  const rows = new RowReader(rowsOf(entryOf('a'), entryOf('b'), entryOf('c')));
  const [first, second] = [rows.rowBytes(0), rows.rowBytes(rows.rowBytes(0))];
  const places = new Float64Array(3 * RowPlace.numbers);
  places.fill(DIRECTORY.directory);
  places[2 * RowPlace.numbers + RowPlace.directory] = NO_DIRECTORY; // the last row is written later
  const { journal, done } = made();
  journal.addRows(rows, places);
  t.is(await rejectedCode(journal.checkpoint()), 'INTERNAL');
  journal.noteRows(DIRECTORY, rows, { from: 0, end: first }, []);
  t.is(await rejectedCode(journal.checkpoint()), 'INTERNAL');
  t.deepEqual(done, { added: 1, records: 0, checkpoints: 0, flags: [] });
  journal.noteRows(DIRECTORY, rows, { from: first, end: first + second }, []);
  await journal.checkpoint();
  t.deepEqual(done, { added: 1, records: 1, checkpoints: 1, flags: [] });
});

test('new flags of an unchanged entry are in the catalog, and are no change that is recorded', async (t) => {
  const { journal, done } = made();
  const head = {
    name: Buffer.from('a'),
    firstSet: 1,
    contentId: undefined,
    childId: undefined,
    isStored: true,
    flags: RowFlag.unsettled,
    metadata: Buffer.alloc(0),
  };
  journal.updateFlags(DIRECTORY, head, 0);
  t.deepEqual(done.flags, [[DIRECTORY.directory, head.name, 1, 0]]);
  t.is(journal.entriesSinceCheckpoint, 0);
  await journal.checkpoint();
  t.is(done.records, 0);
});
