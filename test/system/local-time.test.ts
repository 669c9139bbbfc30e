// Pace: slow
/** Local times and days for every form of TZ: those that `date` prints. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { run, succeed } from '../helpers/commands.js';
import { backupInline, inlineSystem } from '../helpers/inline.js';
import { leaveOut } from '../helpers/left-out.js';
import { folderIn, scratch } from '../helpers/scratch.js';
import { ROOT } from '../tidy/house.js';

const ZONES = '/usr/share/zoneinfo';
const FORMS: readonly (string | undefined)[] = [
  undefined,
  '',
  'Europe/Berlin',
  ':Europe/Berlin',
  `${ZONES}/Europe/Berlin`,
  `:${ZONES}/America/New_York`,
  'posix/Europe/Berlin',
  'right/Europe/Berlin',
  'EST5EDT',
  'UTC0',
  'CET-1CEST,M3.5.0,M10.5.0/3',
  'CET-1CEST',
  'NZST-12NZDT,M9.5.0,M4.1.0/3',
  'IST-1GMT0,M10.5.0,M3.5.0/1',
  '<+03>-3',
  '<-0330>3:30<-0230>,M3.2.0,M11.1.0',
  '<-03>3<-02>,M3.5.0/-2,M10.5.0/-1',
  'ABC-1DEF,J50,J300',
  'XYZ-13:45:10',
  'Europe/Nowhere',
  'nonsense',
];
const HOUR_SECONDS = 3600;
const MOMENTS = [
  0,
  946_684_800,
  1_111_111_111,
  4_102_444_800,
  -1_234_567_890,
  // Each half hour of the days on which clocks change, and others of the year.
  ...['2026-02-19', '2026-03-08', '2026-03-28', '2026-03-29', '2026-07-01', '2026-10-25'].flatMap(
    (day) =>
      Array.from({ length: 50 }, (_, at) => Date.parse(day) / 1000 + (at * HOUR_SECONDS) / 2),
  ),
];
/** Prints the local time of each moment, and the moment at which its day begins, in two ways. */
const SCRIPT = `
const { loadNative } = await import(process.argv[1]);
loadNative();
const two = (n) => String(n).padStart(2, '0');
for (const seconds of JSON.parse(process.argv[2])) {
  const at = new Date(seconds * 1000);
  const day = at.getFullYear() + '-' + two(at.getMonth() + 1) + '-' + two(at.getDate());
  const time = two(at.getHours()) + ':' + two(at.getMinutes()) + ':' + two(at.getSeconds());
  const begins = [new Date(at.getFullYear(), at.getMonth(), at.getDate()).getTime(), at.setHours(0, 0, 0, 0)];
  console.log([day, time, new Date(seconds * 1000).getDay(), ...begins.map((ms) => ms / 1000)].join(' '));
}`;

/** Returns what `date` prints for some dates. */
function dateOf(dates: readonly string[], format: string, env: NodeJS.ProcessEnv): string[] {
  const input = dates.join('\n');
  return execFileSync('date', ['-f', '-', format], { env, input, encoding: 'utf8' })
    .trim()
    .split('\n');
}

test('every form of TZ means what `date` takes it for', (t) => {
  if (!fs.existsSync(`${ZONES}/Europe/Berlin`)) return leaveOut(t, 'left out: no zones here');
  const environments = FORMS.map((TZ): NodeJS.ProcessEnv => ({ ...process.env, TZ }));
  environments.push({ ...process.env, TZ: 'Berlin', TZDIR: `${ZONES}/Europe` });
  environments.push({ ...process.env, TZ: 'Europe/Berlin', TZDIR: '/nonexistent' });
  const module = path.join(ROOT, 'dist/src/system/index.js');
  for (const env of environments) {
    const args = ['--input-type=module', '-e', SCRIPT, module, JSON.stringify(MOMENTS)];
    const shown = execFileSync(process.execPath, args, { env, encoding: 'utf8' })
      .trim()
      .split('\n');
    const moments = MOMENTS.map((seconds) => `@${seconds}`);
    const days = dateOf(moments, '+%F', env);
    const begins = dateOf(days, '+%s', env);
    t.deepEqual(
      shown,
      dateOf(moments, '+%F %T %w', env).map((text, at) => `${text} ${begins[at]} ${begins[at]}`),
      `TZ=${env['TZ']}`,
    );
  }
});

test('a command shows and reads the days of a zone of rules', async (t) => {
  const home = scratch(t);
  const source = folderIn(home, 'tree');
  const system = inlineSystem();
  const lateMs = Date.parse('2026-07-15T22:50:00Z'); // the next day in summer time
  const clock = { ...system.clock, nowMs: () => lateMs };
  const place = { store: path.join(home, 'store'), client: 'me' };
  await backupInline({ ...system, clock }, place, [source], { create: true });
  const env = { TZ: 'CET-1CEST,M3.5.0,M10.5.0/3' };
  const at = ['-D', place.store, '-C', 'me'];
  const listed = await succeed('lstardis', [...at, '-l'], { env });
  t.true(listed.includes('2026-07-16 00:50:00'), listed);
  t.is((await run('lstardis', [...at, '--date', '2026-07-16', source], { env })).status, 0);
  const { stderr } = await run('lstardis', [...at, '--date', '2026-07-15', source], { env });
  t.regex(stderr, /NO_SUCH_SET/);
});
