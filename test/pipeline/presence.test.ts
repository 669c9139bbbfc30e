/** Places that go away: nothing that was read from them is used, and all of it is noted. */
import test from 'ava';
import { NO_EXCLUDES } from '../support/no-excludes.js';
import { EntryType, IDENTITY_BYTES, RowFlag } from '../../src/model/index.js';
import { LostPlaces, type Place } from '../../src/pipeline/index.js';
import { type Failure, type ReadOutput, InlineJobs } from '../../src/workers/index.js';
import { systemError, systemWith, startAt } from '../helpers/jobs.js';
import { entriesOf, entryOf, rowOf, rowsOf } from '../helpers/rows.js';
import { scratch } from '../helpers/scratch.js';

const GONE_ROOT: Place = { slot: -1, name: Buffer.from('root'), path: Buffer.from('/gone') };

/** Returns the places after one of them went away, and the failures that were reported. */
function afterLoss(): { places: LostPlaces; reported: Failure[] } {
  const reported: Failure[] = [];
  let lost: readonly Place[] = [GONE_ROOT];
  const presence = {
    enter: () => undefined,
    lost: () => {
      const now = lost;
      lost = [];
      return now;
    },
  };
  return { places: new LostPlaces(presence, (failures) => reported.push(...failures)), reported };
}

function outputOf(parts: Partial<ReadOutput>): ReadOutput {
  return {
    slots: Uint32Array.of(7),
    rows: Buffer.alloc(0),
    rowEnds: Uint32Array.of(0),
    failures: [],
    owners: [],
    grown: [],
    records: undefined,
    recordLengths: [],
    contents: undefined,
    readBytes: 0,
    holeBytes: 0,
    files: 0,
    buildMs: 0,
    repeats: 0,
    ...parts,
  };
}

const NOWHERE = Buffer.alloc(IDENTITY_BYTES);

function printed(failures: readonly Failure[]): string[] {
  return failures.map(
    ({ slot, path, what, reason }) => `${slot} ${Buffer.from(path).toString()} ${what} ${reason}`,
  );
}

test('a file that grew in a place that went away is noted as unread', (t) => {
  const { places } = afterLoss();
  const row = rowOf('grows');
  const grown = [{ slot: 7, directoryPath: Buffer.from('/gone/d'), directory: NOWHERE, row }];
  const output = places.hashed(outputOf({ grown }), [Buffer.from('/gone/d')]);
  t.is(output.grown.length, 0);
  t.deepEqual(printed(output.failures), ['7 /gone/d/grows unreadable ESTALE']);
});

test('attributes of entries in a place that went away are read again next time', (t) => {
  const { places, reported } = afterLoss();
  const link = entryOf('link', { type: EntryType.symlink });
  const rows = rowsOf(link, entryOf('file'));
  const paths = [Buffer.from('/gone/d')];
  const output = places.hashed(outputOf({ rows, rowEnds: Uint32Array.of(rows.length) }), paths);
  t.deepEqual(printed(reported), ['-1 /gone protected it went away during the backup']);
  const kept = entriesOf(output.rows);
  t.deepEqual(
    kept.map(({ name }) => name.toString()),
    ['link'],
  );
  t.is(kept[0]!.flags & RowFlag.unsettled, RowFlag.unsettled);
  t.deepEqual(printed(output.failures), [
    '7 /gone/d/link incomplete ESTALE',
    '7 /gone/d/file unreadable ESTALE',
  ]);
});

test('what is in other places is used', (t) => {
  const { places } = afterLoss();
  const rows = rowsOf(entryOf('file'));
  const row = rowOf('grows');
  const grown = [{ slot: 7, directoryPath: Buffer.from('/there/d'), directory: NOWHERE, row }];
  const given = outputOf({ rows, rowEnds: Uint32Array.of(rows.length), grown });
  t.is(places.hashed(given, [Buffer.from('/there/d')]), given);
});

for (const [code, what] of [
  ['ENOENT', 'vanished'],
  ['ENOTDIR', 'vanished'],
  ['EIO', 'unreadable'],
  ['ESTALE', 'unreadable'],
  ['EACCES', 'unreadable'],
] as const) {
  test(`a directory that is not found counts as ${what} if looking again gives ${code}`, async (t) => {
    const folder = scratch(t);
    const tasks = startAt(folder);
    const system = systemWith({
      listOrHold: () => {
        throw systemError('ENOENT');
      },
      statRow: () => {
        throw systemError(code);
      },
    });
    const input = { tasks, firstFreeSlot: 1, slotStride: 1, maxEntries: 10, excludes: NO_EXCLUDES };
    const { output } = await new InlineJobs(system).run('walk', input);
    t.deepEqual(
      output.failures.map((failure) => failure.what),
      [what],
    );
  });
}
