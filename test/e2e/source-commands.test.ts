// Pace: slow
/** Settings of commands whose output is backed up: configuration, users, limits, and what is refused. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { exited } from '../helpers/codes.js';
import {
  backup,
  backupsRunHere,
  jsonLines,
  poolsStayAway,
  run,
  Running,
  succeed,
} from '../helpers/commands.js';
import { lab, type Lab } from '../helpers/lab.js';
import { leaveOut } from '../helpers/left-out.js';
import { until } from '../helpers/until.js';

backupsRunHere();
poolsStayAway();

const isRoot = process.geteuid?.() === 0;

/** Returns the content of a file of the newest set. */
async function contentOf({ place, at }: Lab, name: string): Promise<string> {
  const out = at('out');
  await succeed('regenerate', [...place, '-o', out, `/${name}`]);
  const text = fs.readFileSync(path.join(out, name), 'utf8');
  fs.rmSync(out, { recursive: true });
  return text;
}

async function names({ place }: Lab, set: string): Promise<string[]> {
  const listed = await succeed('lstardis', [...place, '--json', '-b', set, '/']);
  return jsonLines<{ name: string }>(listed)
    .map(({ name }) => name)
    .toSorted();
}

test('[Sources] has commands for every job, and Sources chooses among them', async (t) => {
  const made = lab(t);
  const { place, source, written } = made;
  const text =
    `[Sources]\nfirst.txt = echo first\nsecond.txt = timeout=60 sh -c "echo second;\n  exit 0"\n` +
    `[Tardis]\nDirectories = ${source}\n[one]\nSources = second.txt\n[none]\nSources =\nDirectories = ${source}\n` +
    '[wrong]\nSources = third.txt\n';
  const local = [...place, '--local', '--config', written('cfg', text)];
  await backup(['--create', ...local]);
  t.deepEqual(await names(made, '1'), [source, '/first.txt', '/second.txt']);
  t.is(await contentOf(made, 'second.txt'), 'second\n');
  await backup([...local, '--job', 'one']);
  t.deepEqual(await names(made, '2'), ['/second.txt'], 'a job without Directories saves no others');
  await backup([...local, '--job', 'none']);
  t.deepEqual(await names(made, '3'), [source]);
  await backup([...local, '--source', 'third.txt=echo third', source]);
  t.deepEqual(await names(made, '4'), [source, '/third.txt']);
  const wrong = exited(t, 1, await run('tardis', [...local, '--job', 'wrong']));
  t.regex(wrong.stderr, /\[Sources\] has no command for "third\.txt"/);
  const listed = await succeed('lstardis', [...place, '--config', written('cfg', text), '/']);
  t.true(listed.includes('third.txt'), 'a tool that runs no command accepts the section');
});

test('a command that takes longer than SourceTimeout is ended, and its earlier version stays', async (t) => {
  const made = lab(t);
  const { place, at, written } = made;
  const log = at('log');
  const config = (command: string): string[] => {
    const text = `[Tardis]\nSourceTimeout = 0.5\nLogFiles = ${log}\n[Sources]\ndump = ${command}\n`;
    return ['--config', written('cfg', text)];
  };
  const local = [...place, '--local'];
  await backup(['--create', ...local, ...config('echo whole')]);
  const slow = `sh -c "echo cut off; echo waiting for the lock >&2; sleep 60; touch ${at('end')}"`;
  const late = exited(t, 3, await run('tardis', [...local, ...config(slow)]));
  t.regex(late.stderr, /source dump: waiting for the lock/);
  t.regex(late.stderr, /\/dump: unreadable \(timed out after 0\.5 s \(waiting for the lock\)\)/);
  t.regex(fs.readFileSync(log, 'utf8'), /\/dump: unreadable \(timed out after 0\.5 s/);
  t.is(
    await contentOf(made, 'dump').catch(() => ''),
    '',
    'the set does not have what it could not read',
  );
  const before = await run('regenerate', [...place, '-o', at('out'), '/dump']);
  t.is(before.status, 3, 'and a restore of it says so');
  t.is(fs.readFileSync(at('out', 'dump'), 'utf8'), 'whole\n');
  const patient = config('timeout=60 sh -c "sleep 1; echo patient"');
  await backup([...local, ...patient]);
  fs.rmSync(at('out'), { recursive: true });
  t.is(await contentOf(made, 'dump'), 'patient\n');
});

test('a command ends with the backup that runs it, even if that is killed', async (t) => {
  const { place, at, source } = lab(t);
  const stubborn = `sh -c "trap '' TERM; echo $$ >${at('pid')}; sleep 600; sleep 600"`;
  const words = [...place, '--local', '--create', '--source', `dump=${stubborn}`, source];
  const running = new Running('tardis', words);
  const pidOf = (): number =>
    Number(fs.existsSync(at('pid')) && fs.readFileSync(at('pid'), 'utf8'));
  await running.until('command', () => pidOf() > 0);
  await running.endedBy('SIGKILL');
  await until(() => !fs.existsSync(`/proc/${pidOf()}`));
  t.pass();
});

test('a dry run names commands, and runs none', async (t) => {
  const { place, at, source } = lab(t);
  const args = ['--dry-run', '--stdin', 'in', '--source', `out=touch ${at('ran')}`, source];
  const printed = await succeed('tardis', [...place, ...args]);
  t.regex(printed, /^\+ \/in \(standard input\)$/m);
  t.regex(printed, /^\+ \/out \(output of: touch .*ran\)$/m);
  const { sources } = JSON.parse(await succeed('tardis', [...place, '--json', ...args])) as {
    sources: { name: string }[];
  };
  t.deepEqual(
    sources.map(({ name }) => name),
    ['in', 'out'],
  );
  t.false(fs.existsSync(at('ran')));
});

test('names that are no file names, and two sources of one path, are refused before a command runs', async (t) => {
  const { place, at, source } = lab(t);
  const touching = `touch ${at('ran')}`;
  const [, top] = source.split('/');
  for (const [words, error] of [
    [
      ['--source', `../etc/cron.d/x=${touching}`],
      /is "\.\.\/etc\/cron\.d\/x" but must be a file name/,
    ],
    [['--source', `..=${touching}`], /must be a file name/],
    [['--source', `${'n'.repeat(256)}=${touching}`], /must be a file name/],
    [['--source', touching], /must be NAME = COMMAND/],
    [['--source', 'name='], /has no command/],
    [['--source', `name=timeout=0 ${touching}`], /timeout= must be seconds/],
    [['--source', `name=user= ${touching}`], /user= is empty/],
    [['--stdin', 'a/b'], /must be a file name/],
    [['--source', `a=${touching}`, '--source', `a=${touching}`], /would both be stored as \/a/],
    [['--source', `a=${touching}`, '--stdin', 'a'], /would both be stored as \/a/],
    [['--source', `a=${touching}`, '--kept-as', '/a'], /would both be stored as \/a/],
    [['--source', `${top}=${touching}`], new RegExp(`stored as /${top}, and hide ${source}`)],
    [['--source', `etc=${touching}`, '/'], /two sources would both be stored as \/etc/],
    [['--source', `a=user=nobody-here ${touching}`], /cannot run it as nobody-here/],
  ] as const) {
    const { status, stderr } = await run('tardis', [
      ...place,
      '--local',
      '--create',
      ...words,
      source,
    ]);
    t.is(status, 1, stderr);
    t.regex(stderr, error);
  }
  t.false(fs.existsSync(at('ran')));
});

test('a command runs as its user, without the environment, groups and open files of root', async (t) => {
  if (!isRoot) return leaveOut(t, 'needs root, to become another user');
  const made = lab(t);
  const { place } = made;
  const show = 'id -un; id -G; echo $HOME; env; ls -l /proc/self/fd; cat /proc/self/status';
  const env = { TARDIS_PASSWORD: '', SECRET_OF_ROOT: 'a secret', AWS_SECRET_ACCESS_KEY: 'a key' };
  await backup(['--create', ...place, '--local', '--source', `who=user=nobody sh -c "${show}"`], {
    env: { SECRET_OF_ROOT: env.SECRET_OF_ROOT, AWS_SECRET_ACCESS_KEY: env.AWS_SECRET_ACCESS_KEY },
  });
  const text = await contentOf(made, 'who');
  const [user, groups] = text.split('\n');
  t.is(user, 'nobody');
  t.false(groups!.split(' ').includes('0'));
  t.notRegex(text, /SECRET|TARDIS_|AWS_/);
  t.regex(text, /^CapEff:\t0+$/m);
  const open = text
    .split('\n')
    .filter((line) => / \d+ -> /.test(line) && !/ (0|1|2) -> /.test(line));
  t.deepEqual(
    open.filter((line) => !/ -> (\/proc\/\d+\/fd|\/dev\/null)$/.test(line)),
    [],
  );
  const [row] = jsonLines<{ owner: string; permissions: string }>(
    await succeed('lstardis', [...place, '--json', '/who']),
  );
  t.deepEqual([row?.owner, row?.permissions], ['nobody', '0600']);
});
