import test from 'ava';
import { FigureTable, median, ratioOf } from '../../bench/figures.js';
import { formatTable, linesOf } from '../../bench/report.js';
import { judge } from '../../bench/targets.js';

/** Returns a table with these times for tardis and for restic. */
function tableOf(ours: number[], theirs: number[]): FigureTable {
  const table = new FigureTable();
  for (const question of ['first', 'unchanged', 'restore'] as const) {
    table.row(question, 'restic').wallMs.push(...theirs);
    table.row(question, 'restic').cpuMs.push(...theirs);
    table.row(question, 'tardis').wallMs.push(...ours);
    table.row(question, 'tardis').cpuMs.push(...ours);
  }
  table.row('first', 'restic').storeBytes.push(100e6);
  table.row('first', 'tardis').storeBytes.push(90e6);
  return table;
}

test('the median of an odd and of an even number of values', (t) => {
  t.is(median([3, 1, 2]), 2);
  t.is(median([4, 1, 3, 2]), 2.5);
  t.is(median([]), NaN);
});

test('the ratio of medians and the median of the ratios of each round are two things', (t) => {
  // Medians 2 and 4; ratios by pairs 1/4, 2/2 and 6/8.
  t.deepEqual(ratioOf([1, 2, 6], [4, 2, 8]), { ofMedians: 0.5, pairwise: 0.75 });
});

test('rounds that only one of them has do not count as pairs', (t) => {
  t.is(ratioOf([1, 2], [2, 4, 1000])?.pairwise, 0.5);
  t.is(ratioOf([], [1]), undefined);
});

test('targets are judged by the ratio of medians, the worst memory, and are not met when not measured', (t) => {
  const table = tableOf([200, 240, 260], [1000, 1000, 1000]);
  table.row('first', 'tardis').pssBytes = 150e6;
  table.row('restore', 'tardis').pssBytes = 200e6;
  const verdicts = new Map(judge(table).map(({ target, ...rest }) => [target, rest]));
  const reached = (target: string): unknown[] => {
    const verdict = verdicts.get(target);
    return [verdict?.reached, verdict?.met];
  };
  t.deepEqual(reached('first, tardis: time, times restic'), [0.24, true]);
  t.deepEqual(reached('unchanged, tardis: time, times restic'), [0.24, false]);
  t.deepEqual(reached('first, tardis: store, times restic'), [0.9, true]);
  t.deepEqual(reached('peak PSS in MB, tardis'), [200, false]);
  t.deepEqual(reached('first, tardis-encrypted: time, times tardis'), [undefined, false]);
  t.true(judge(new FigureTable()).every(({ met, reached }) => !met && reached === undefined));
});

test('the table is aligned, question by question', (t) => {
  const table = tableOf([250], [1000]);
  t.deepEqual(
    linesOf(table).map((line) => [line.question, line.subject, line.timeRatio?.ofMedians]),
    [
      ['first', 'restic', 1],
      ['first', 'tardis', 0.25],
      ['unchanged', 'restic', 1],
      ['unchanged', 'tardis', 0.25],
      ['restore', 'restic', 1],
      ['restore', 'tardis', 0.25],
    ],
  );
  const rows = formatTable(table).split('\n');
  t.is(rows.length, 7);
  t.is(new Set(rows.map((row) => row.length)).size, 1);
});
