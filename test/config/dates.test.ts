import test from 'ava';
import { parseDate } from '../../src/config/index.js';

/** Friday, 20 November 2026, 11:30 local time. */
const NOW = new Date(2026, 10, 20, 11, 30, 0);

/** Returns the meaning of a date text as local time in ISO format. */
async function meaning(text: string, now = NOW): Promise<string> {
  const date = new Date(await parseDate(text, now.getTime()));
  const pad = (value: number): string => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  return `${day} ${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}

for (const [text, wanted] of [
  ['now', '2026-11-20 11:30:00'],
  ['3D', '2026-11-17 11:30:00'],
  ['3d', '2026-11-17 11:30:00'],
  ['90s', '2026-11-20 11:28:30'],
  ['30min', '2026-11-20 11:00:00'],
  ['12h', '2026-11-19 23:30:00'],
  ['2 w', '2026-11-06 11:30:00'],
  ['9mo', '2026-02-20 11:30:00'],
  ['1y', '2025-11-20 11:30:00'],
  ['3 days ago', '2026-11-17 11:30:00'],
  ['three days ago', '2026-11-17 11:30:00'],
  ['an hour ago', '2026-11-20 10:30:00'],
  ['1 year 2 months ago', '2025-09-20 11:30:00'],
  ['last week', '2026-11-13 11:30:00'],
  ['today', '2026-11-20 23:59:59'],
  ['march', '2026-03-31 23:59:59'],
  ['march 5', '2026-03-05 23:59:59'],
  ['yesterday', '2026-11-19 23:59:59'],
  ['the day before yesterday', '2026-11-18 23:59:59'],
  ['yesterday at 5pm', '2026-11-19 17:00:59'],
  ['day before yesterday', '2026-11-18 23:59:59'],
  ['last night', '2026-11-20 05:59:59'],
  ['yesterday evening', '2026-11-19 21:59:59'],
  ['this morning', '2026-11-20 11:59:59'],
  ['midnight', '2026-11-20 00:00:59'],
  ['today at midnight', '2026-11-20 00:00:59'],
  ['noon', '2026-11-19 12:00:59'],
  ['11:00', '2026-11-20 11:00:59'],
  ['5pm', '2026-11-19 17:00:59'],
  ['friday 5pm', '2026-11-13 17:00:59'],
  ['friday', '2026-11-20 23:59:59'],
  ['saturday', '2026-11-14 23:59:59'],
  ['last monday at noon', '2026-11-16 12:00:59'],
  ['03/15/2014', '2014-03-15 23:59:59'],
  ['3/15/14', '2014-03-15 23:59:59'],
  ['4/13', '2026-04-13 23:59:59'],
  ['03/04/2026', '2026-03-04 23:59:59'],
  ['03.04.2026', '2026-04-03 23:59:59'],
  ['13.04.2026', '2026-04-13 23:59:59'],
  ['3.4.26', '2026-04-03 23:59:59'],
  ['13.04.2026 at noon', '2026-04-13 12:00:59'],
  ['2026/03/04', '2026-03-04 23:59:59'],
  ['2014-03-15', '2014-03-15 23:59:59'],
  ['2014-03-15 10:30', '2014-03-15 10:30:59'],
  ['2014-03-15T10:30:05.25', '2014-03-15 10:30:05'],
  ['15 March 2014', '2014-03-15 23:59:59'],
  ['Mar 15 2014 5pm', '2014-03-15 17:00:59'],
  ['March 2014', '2014-03-31 23:59:59'],
  ['  2014-03-15  ', '2014-03-15 23:59:59'],
] as const) {
  test(`"${text}" is ${wanted}`, async (t) => {
    t.is(await meaning(text), wanted);
  });
}

test('a month before the 31st is the end of a shorter month', async (t) => {
  t.is(await meaning('1mo', new Date(2026, 2, 31, 8, 0)), '2026-02-28 08:00:00');
});

test('zones and seconds since 1970 name the same second everywhere', async (t) => {
  const wanted = Date.UTC(2014, 2, 15, 8, 30, 0);
  for (const text of [
    '2014-03-15T08:30:00Z',
    '2014-03-15T10:30:00+02:00',
    '2014-03-15 03:00:00-0530',
    `@${wanted / 1000}`,
  ]) {
    t.is(await parseDate(text, NOW.getTime(), 'start'), wanted, text);
    t.is(await parseDate(text, NOW.getTime()), wanted + 999, text);
  }
  t.is(await parseDate('2014-03-15T08:30Z', NOW.getTime()), wanted + 59_999);
  t.is(await parseDate('2014-03-15T08:30:00.25Z', NOW.getTime()), wanted + 250);
});

for (const text of [
  '',
  '   ',
  'bananas',
  '3m',
  '3 days',
  '3 days ago or so',
  'yesterday to today',
  '2014-02-30',
  '2014-13-01',
  '2014-03-15 25:00',
  '02/30/2014',
  '13/45/2014',
  '13/04/2026',
  '04.13.2026',
  '03-04-2026',
  '20140315',
  '9999999d',
  'x'.repeat(10_000),
]) {
  test(`"${text.slice(0, 30)}" is no date`, async (t) => {
    await t.throwsAsync(parseDate(text, NOW.getTime()), { code: 'BAD_DATE' });
  });
}

for (const [text, wanted] of [
  ['2014-03-15', '2014-03-15 00:00:00'],
  ['yesterday', '2026-11-19 00:00:00'],
  ['march', '2026-03-01 00:00:00'],
  ['february 2025', '2025-02-01 00:00:00'],
  ['2014-03-15 10:30', '2014-03-15 10:30:00'],
  ['last night', '2026-11-19 22:00:00'],
  ['3d', '2026-11-17 11:30:00'],
] as const) {
  test(`"${text}" as the start of a range means ${wanted}`, async (t) => {
    const startMs = await parseDate(text, NOW.getTime(), 'start');
    t.is(await meaning(`@${startMs / 1000}`), wanted);
  });
}
