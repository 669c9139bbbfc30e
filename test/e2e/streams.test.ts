// Pace: long
/** Commands and standard input as files of a backup, beside directories. */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { backup, backupsRunHere, jsonLines, run, succeed } from '../helpers/commands.js';
import { seed } from '../helpers/seed.js';
import { lab, type Lab } from '../helpers/lab.js';
import { shareOf } from '../helpers/share.js';
import { seededRandom } from '../support/seeded-random.js';

backupsRunHere();

const WORD = '--password=of a test';

interface Version {
  readonly sizeBytes: number;
  readonly firstSet: number;
  readonly permissions: string;
}

async function versions(place: readonly string[], name: string): Promise<Version[]> {
  const { stdout } = await run('lstardis', [...place, '--json', `/${name}`]);
  return jsonLines<Version>(stdout);
}

async function contentOf(made: Lab, args: readonly string[], name: string): Promise<string> {
  const out = made.at('out');
  await succeed('regenerate', [...args, '-o', out, `/${name}`]);
  const bytes = fs.readFileSync(path.join(out, name));
  fs.rmSync(out, { recursive: true });
  return createHash('sha256').update(bytes).digest('hex');
}

/** Writes a dump of some lines, of which every `changed`-th differs from a dump with 0. */
function dump(made: Lab, name: string, lines: number, changed = 0): string {
  const random = seededRandom(lines);
  const rows = Array.from({ length: lines }, (_, index) => {
    const hash = createHash('sha1').update(`${random.next()}`).digest('base64');
    const isOther = changed > 0 && index % changed === 0;
    return `INSERT INTO t VALUES (${index}, '${isOther ? `other ${index}` : hash}', 'a usual text');`;
  });
  return made.written(name, `${rows.join('\n')}\n`);
}

function sha256Of(file: string): string {
  return createHash('sha256').update(fs.readFileSync(file)).digest('hex');
}

for (const [kind, word] of [
  ['plain', []],
  ['encrypting', [WORD]],
] as const) {
  test(`commands are files beside directories, and their next output is a delta, for a client that is ${kind}`, async (t) => {
    const made = lab(t);
    const own = [...made.place, ...word];
    const local = [...own, '--local'];
    const one = dump(made, 'one.sql', 200_000);
    const two = dump(made, 'two.sql', 200_000, 100);
    const first = await backup([
      ...local,
      '--create',
      made.source,
      '--source',
      `db.sql=cat ${one}`,
      '--source',
      'little = sh -c "echo a few words"',
    ]);
    t.is(first.progress.filesRead, 4);
    t.true(first.progress.readBytes > 12 << 20, 'the dump has more pieces than are in memory');
    const again = await backup([...local, made.source, '--source', `db.sql=cat ${one}`]);
    t.is(again.progress.contentsSent, 0, 'nothing of an unchanged dump is sent');
    const later = await backup([...local, '--source', `db.sql=cat ${two}`]);
    t.true(later.progress.deltasSent >= 4);
    t.true(later.progress.sentBytes < first.progress.sentBytes / 3);
    t.is(await contentOf(made, [...own, '-b', '1'], 'db.sql'), sha256Of(one));
    t.is(await contentOf(made, own, 'db.sql'), sha256Of(two));
    await succeed('sonic', ['check', '--read-data', ...own]);
    const [version] = await versions(own, 'db.sql');
    t.is(version?.permissions, '0600');
    fs.rmSync(path.join(made.store, 'me', 'tardis.db'));
    await succeed('sonic', ['rebuild', ...own]);
    t.is(await contentOf(made, own, 'db.sql'), sha256Of(two));
  });
}

test('standard input is a file, alone or beside directories, and an empty one leaves the earlier version', async (t) => {
  const made = lab(t);
  const local = [...made.place, '--local'];
  const through = async (input: string, args: readonly string[]): Promise<number | null> =>
    (await run('tardis', [...local, ...args], { input })).status;
  t.is(await through('from a pipe', ['--create', '--stdin', 'pipe.txt']), 0);
  t.deepEqual(
    (await versions(made.place, 'pipe.txt')).map(({ sizeBytes }) => sizeBytes),
    [11],
  );
  t.is((await run('lstardis', [...made.place, made.source])).status, 1, 'nothing else was saved');
  t.is(await through('', ['--stdin', 'pipe.txt', made.source]), 3);
  t.is((await versions(made.place, 'pipe.txt')).length, 1);
  await succeed('lstardis', [...made.place, path.join(made.source, 'two')]);
});

/** Returns a command that fails after some bytes of output, at a point that `next` chooses. */
function failing(next: () => number): string {
  const under = (limit: number): number => Math.floor(next() * limit);
  const pick = <T>(of: readonly T[]): T => of[under(of.length)]!;
  const bytes = pick([0, 1, under(4096), 65_536, under(300_000), under(300_000)]);
  const large = under(40) === 0 ? (4 << 20) + pick([-1, 0, 1, 9 << 20]) : bytes;
  const output = `head -c ${large} /dev/urandom`;
  const after = (end: string): string => `sh -c "${output}; ${end}"`;
  const signal = pick(['KILL', 'TERM', 'ABRT', 'SEGV', 'PIPE', 'HUP']);
  return pick([
    after(`exit ${1 + under(255)}`),
    after(`kill -${signal} $$`),
    after(`exec >&-; exit ${1 + under(255)}`),
    after('head -c 300000 /dev/urandom >&2; exit 1'),
    after('sleep 60 & exit 1'), // it holds the pipe
    `timeout=0.2 ${after('sleep 60 & exit 0')}`,
    `timeout=0.1 ${after('sleep 60')}`,
    `timeout=0.1 ${after('exec >&-; sleep 60')}`,
    'timeout=0.05 yes',
    `sh -c "${output} | false"`,
    'true',
    '/nowhere/program',
  ]);
}

test('no version of a command that failed looks complete, however it failed', async (t) => {
  const made = lab(t);
  const local = [...made.place, '--local', '--json'];
  const names = Array.from({ length: 24 }, (_, index) => `source-${index}`);
  const sources = (command: (name: string) => string): string[] =>
    names.flatMap((name) => ['--source', `${name}=${command(name)}`]);
  await backup([...local, '--create', ...sources((name) => `echo good ${name}`)]);
  const random = seededRandom(seed);
  const rounds = shareOf(20, 2);
  for (let round = 0; round < rounds; round += 1) {
    const commands = new Map(names.map((name) => [name, failing(() => random.next())]));
    const { status, stdout } = await run('tardis', [
      ...local,
      ...sources((name) => commands.get(name)!),
    ]);
    t.is(status, 3, `TEST_SEED=${seed}`);
    const { failed } = JSON.parse(stdout) as { failed: { name: string; what: string }[] };
    const named = new Set(failed.map(({ name, what }) => `${what} ${name}`));
    const whole = names.filter((name) => !named.has(`unreadable /${name}`));
    t.deepEqual(
      whole.map((name) => commands.get(name)),
      [],
      `TEST_SEED=${seed}`,
    );
  }
  await succeed('regenerate', [...made.place, '-b', '1', '-o', made.at('all'), '--all']);
  for (const name of names) {
    t.is((await versions(made.place, name)).length, 1, name);
    t.is(fs.readFileSync(made.at('all', name), 'utf8'), `good ${name}\n`);
  }
  await succeed('sonic', ['check', '--read-data', ...made.place]);
});
