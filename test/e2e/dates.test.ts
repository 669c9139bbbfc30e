// Pace: slow
/** Dates that select sets: the time that a listing prints is that of the set for which it is printed. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { backup, backupsRunHere, jsonLines, run, succeed } from '../helpers/commands.js';
import { changeCatalog } from '../helpers/changed-catalog.js';
import { lab } from '../helpers/lab.js';
import { scratchInMemory, written } from '../helpers/scratch.js';
import { ofThisRun } from '../helpers/share.js';

backupsRunHere();

/** Clocks of this zone are set back on 25 October 2026 at 01:00 UTC, from 03:00 to 02:00. */
const env = { TZ: 'Europe/Berlin' };

interface Lab {
  readonly store: string;
  readonly place: readonly string[];
  /** The file that has another content in each set: `1`, `2`, … */
  readonly file: string;
  readonly output: string;
}

/** Makes a set at each of the times, by the clock of the server. */
async function prepared(
  t: ExecutionContext,
  times: readonly string[],
  ...args: string[]
): Promise<Lab> {
  const { store, source, place: own, at } = lab(t, []);
  const output = at('out');
  const place = [...own, ...args];
  const file = path.join(source, 'file');
  for (const [index] of times.entries()) {
    fs.writeFileSync(file, `${index + 1}`);
    const isFirst = index === 0;
    await backup([...place, '--local', ...(isFirst ? ['--create'] : []), source]);
  }
  fs.writeFileSync(file, 'on the disk');
  changeCatalog(store, (catalog) => {
    const change = catalog.prepare(
      'UPDATE backup_sets SET opened_at_ms = ?, stats = NULL WHERE set_number = ?',
    );
    times.forEach((time, index) => change.run(Date.parse(time), index + 1));
  });
  return { store: store, place, file, output: output };
}

/** Returns the column `begun` of a listing of sets, in their order. */
async function printedTimes({ place }: Lab): Promise<string[]> {
  const listed = await succeed('lstardis', [...place], { env });
  return [...listed.matchAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:[+-]\d\d:\d\d)?/g)].map(
    ([time]) => time,
  );
}

const TIMES = [
  '2026-03-01T08:00:00.740Z',
  '2026-03-01T08:00:01.999Z',
  '2026-10-25T00:30:00.500Z',
  '2026-10-25T01:30:00.500Z',
  '2026-10-26T12:00:00.001Z',
];

test('the time that a listing prints selects its set in every option that takes a date', async (t) => {
  const there = await prepared(t, TIMES);
  const { place, file } = there;
  const times = await printedTimes(there);
  t.is(times.length, TIMES.length);
  const cases = times.map((time, index) => ({ time, set: index + 1 }));
  for (const { time, set } of ofThisRun(cases, ({ time: shown }) => [String(shown.length)])) {
    const restored = ['-d', time, '--stdout', file];
    t.is(await succeed('regenerate', [...place, ...restored], { env }), `${set}`, time);
    const numbers = async (...args: string[]): Promise<number[]> => {
      const listed = await succeed('lstardis', [...place, '--json', ...args], { env });
      return (JSON.parse(listed) as { sets: { set: number }[] }).sets.map((one) => one.set);
    };
    t.deepEqual(await numbers('-d', time), [set], time);
    t.is((await numbers('--dates', `..${time}`)).at(-1), set, time);
    t.is((await numbers('--dates', `${time}..`))[0], set, time);
    const { stdout } = await run('tardiff', [...place, '-d', time, file], { env });
    t.regex(stdout, new RegExp(`\\(set ${set}\\)`), time);
    const other = set === 1 ? '2' : '1';
    const diff = await run('sonic', ['diff', ...place, '--json', time, other], { env });
    const sets = jsonLines<{ from?: number }>(diff.stdout).at(-1);
    t.is(sets?.from, set, `${time}: ${diff.stdout}${diff.stderr}`);
  }
});

test('the printed time of a set of a client that encrypts selects it, whatever the clock of the server', async (t) => {
  const password = written(scratchInMemory(t), 'password', 'a secret that is long enough');
  const there = await prepared(t, ['2020-01-01T00:00:00Z'], '--password-file', password);
  const [time] = await printedTimes(there);
  const restored = ['-d', time!, '--stdout', there.file];
  t.is(await succeed('regenerate', [...there.place, ...restored], { env }), '1');
});

test('a restore names the sets that it took', async (t) => {
  const there = await prepared(t, TIMES.slice(0, 2));
  const { place, file, output } = there;
  const [time] = await printedTimes(there);
  const stdout = await succeed('regenerate', [...place, '-b', '1', '-o', output, file], { env });
  t.regex(stdout, new RegExp(`^Restored 1 file.*, from set 1 \\S+ \\(${time}\\)\\.$`, 'm'));
});

test('a purge by the printed time of a set keeps that set, and the day keeps its sets', async (t) => {
  const there = await prepared(t, TIMES);
  const times = await printedTimes(there);
  const deleted = async (date: string): Promise<number[]> => {
    const args = [
      'purge',
      ...there.place,
      '--preview',
      '--json',
      '--trust-clock',
      '--before',
      date,
    ];
    const answer = JSON.parse(await succeed('sonic', args, { env })) as {
      sets: { set: number; reasons: unknown[] }[];
    };
    return answer.sets.filter(({ reasons }) => reasons.length === 0).map(({ set }) => set);
  };
  t.deepEqual(await deleted(times[1]!), [1]);
  t.deepEqual(await deleted(times[3]!), [1, 2, 3]);
  t.deepEqual(await deleted('2026-03-01'), []);
});

test('two hours of one name, when the clock is set back, count as two', async (t) => {
  const { place } = await prepared(t, TIMES.slice(2));
  const rule = ['--keep-hourly', '3', '--trust-clock', '--preview'];
  const preview = await succeed('sonic', ['purge', ...place, ...rule], { env });
  t.regex(preview, /newest of the hour 2026-10-25 02h\+02:00/);
  t.regex(preview, /newest of the hour 2026-10-25 02h\+01:00/);
});
