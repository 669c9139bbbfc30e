// Pace: long
/** The benchmark at its smallest: it runs, answers, and cleans up. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { POSSIBLE } from '../../bench/operations.js';
import { leaveOut } from '../helpers/left-out.js';
import { scratch } from '../helpers/scratch.js';
import { seed } from '../helpers/seed.js';
import { partOf, share } from '../helpers/share.js';
import { seededRandom } from '../support/seeded-random.js';

const MAIN = fileURLToPath(new URL('../../bench/main.js', import.meta.url));
const TIMEOUT_MS = 240_000;
const WITHOUT_PEERS = ['--without', 'restic', '--without', 'borg'];
/** Each question starts commands for about four seconds of processor time; a run has some, which TEST_SEED chooses. */
const QUESTIONS: readonly string[] = [
  'what a server far away costs is answered',
  'what other shapes cost is answered',
  'how costs grow is answered',
  'how large the store of releases becomes is answered',
  'what large files that changed add is answered',
  'how fast a mount is read is answered',
  'releases come from a git repository',
  'what the web doors cost is answered',
  'what imports cost is answered',
  'backups are compared with the limits of the machine',
];
const requested = new Set(partOf(QUESTIONS, 3 * share, seededRandom(seed)));
const RELEASES = ['--releases', ...WITHOUT_PEERS];

/** Declares the test of a question, if this run has it. */
function testQuestion(title: string, body: (t: ExecutionContext) => Promise<void>): void {
  if (!QUESTIONS.includes(title)) throw new Error(`no such question: ${title}`);
  if (requested.has(title)) test(title, body);
}

/** Runs the benchmark for one question; returns its output, its figures, and the names of its plots. */
async function ask(
  t: ExecutionContext,
  ...args: string[]
): Promise<{ printed: string; figures: unknown; plots: string[] }> {
  const [work, plots] = [scratch(t), scratch(t)];
  const json = path.join(scratch(t), 'figures.json');
  const all = [MAIN, '--runs', '1', '--work', work, '--plots', plots, '--json', json, ...args];
  const child = spawn(process.execPath, all, { stdio: ['ignore', 'pipe', 'pipe'] });
  const timer = setTimeout(() => child.kill('SIGTERM'), TIMEOUT_MS);
  let [printed, reported] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (reported += text));
  const [status] = (await once(child, 'close')) as [number | null];
  clearTimeout(timer);
  t.is(status, 0, reported);
  t.deepEqual(fs.readdirSync(work), [], 'nothing is left');
  const { figures } = JSON.parse(fs.readFileSync(json, 'utf8')) as { figures: unknown };
  return { printed, figures, plots: fs.readdirSync(plots).sort() };
}

testQuestion('what a server far away costs is answered', async (t) => {
  const { printed, figures, plots } = await ask(t, '--delay', '20', '--files', '60');
  t.regex(printed, /^first .*\nunchanged /m);
  const { lines } = figures as { lines: { kind: string; nearMs: number; farMs: number }[] };
  t.deepEqual(
    lines.map(({ kind, nearMs, farMs }) => [kind, nearMs > 0, farMs > 0]),
    [
      ['first', true, true],
      ['unchanged', true, true],
    ],
  );
  t.deepEqual(plots, ['far.svg']);
});

interface ShapeFigures {
  readonly shape: string;
  readonly question: string;
  readonly subject: string;
  readonly wallMs: readonly number[];
}

testQuestion('what other shapes cost is answered', async (t) => {
  const { printed, figures } = await ask(
    t,
    '--shapes',
    '--scale',
    '0',
    '--only',
    '1 at once',
    ...WITHOUT_PEERS,
  );
  t.regex(printed, /^a server over TLS, 1 at once +first +tardis-encrypted /m);
  const lines = (figures as ShapeFigures[]).filter(({ subject }) => subject !== 'restic');
  t.deepEqual(
    lines.map(({ question, wallMs }) => [question, wallMs.length]),
    [
      ['first', 1],
      ['unchanged', 1],
      ['restore', 1],
    ],
  );
});

testQuestion('how costs grow is answered', async (t) => {
  const { printed, figures, plots } = await ask(t, '--growth', '--sizes', '100,200', '--no-memory');
  t.regex(printed, /one directory +unchanged +200/);
  t.is((figures as unknown[]).length, 4 * POSSIBLE.length);
  t.deepEqual(plots, ['growth-one-directory.svg', 'growth-tree.svg']);
});

testQuestion('how large the store of releases becomes is answered', async (t) => {
  const { printed, figures, plots } = await ask(t, ...RELEASES, '--files', '60', '--count', '3');
  t.regex(printed, /^3 releases: generated edits/m);
  const [line] = figures as { subject: string; storeBytes: number[]; wallMs: number[][] }[];
  t.is(line?.subject, 'tardis');
  t.is(line?.wallMs[0]?.length, 3);
  const [first = 0, second = 0, third = 0] = line?.storeBytes ?? [];
  t.true(0 < first && first < second && second < third);
  t.deepEqual(plots, ['releases.svg']);
});

interface MountFigures {
  readonly subject: string;
  readonly list: readonly number[];
  readonly random: readonly number[];
  readonly deltas: readonly number[];
  readonly memory: readonly number[];
  readonly filledNames: readonly number[];
}

testQuestion('what large files that changed add is answered', async (t) => {
  const { printed, figures } = await ask(
    t,
    '--large',
    '--mib',
    '24',
    '--only',
    'mailbox',
    '--without',
    'rdiff',
    ...WITHOUT_PEERS,
  );
  t.regex(printed, /^mailbox, 5 MB appended +tardis /m);
  const lines = figures as { subject: string; firstBytes: number; addedBytes: number }[];
  t.deepEqual(
    lines.map(({ subject }) => subject),
    ['tardis', 'tardis-encrypted'],
  );
  const [{ firstBytes, addedBytes }] = lines as [(typeof lines)[0]];
  t.true(addedBytes < firstBytes / 2, `${addedBytes} of ${firstBytes}`);
});

testQuestion('how fast a mount is read is answered', async (t) => {
  if (process.geteuid?.() !== 0 || !fs.existsSync('/dev/fuse')) {
    return leaveOut(t, 'nothing can be mounted here');
  }
  const sizes = ['--files', '60', '--names', '100', '--mib', '2', '--entries', '300'];
  const { printed, figures, plots } = await ask(
    t,
    '--mount',
    '--quick',
    ...WITHOUT_PEERS,
    ...sizes,
  );
  t.regex(printed, / tardis-encrypted: s to mount /);
  t.regex(printed, / tardis: ls of many names in a filled catalog: s /);
  const lines = figures as MountFigures[];
  t.deepEqual(
    lines.map(({ subject }) => subject),
    ['source', 'tardis', 'tardis-encrypted'],
  );
  const [, ...ours] = lines;
  for (const { list, random, deltas, memory } of ours) {
    for (const [value = 0] of [list, random, deltas, memory]) t.true(value > 0);
  }
  t.deepEqual(
    ours.map(({ filledNames }) => filledNames.length),
    [1, 0],
  );
  t.deepEqual(plots, ['mount.svg']);
});

testQuestion('releases come from a git repository', async (t) => {
  const repository = scratch(t);
  const git = (...args: string[]): void => {
    execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', ...args], {
      cwd: repository,
    });
  };
  git('init', '-q');
  for (const tag of ['v1.0.0', 'v1.0.1', 'v1.1.0', 'v1.2.0-rc1', 'v1.2.0']) {
    fs.writeFileSync(path.join(repository, 'file'), `this is ${tag}\n`);
    git('add', 'file');
    git('commit', '-q', '-m', tag);
    git('tag', tag);
  }
  const { printed } = await ask(t, ...RELEASES, '--history', repository, '--count', '3');
  t.regex(printed, /^3 releases: v1\.0\.0 to v1\.2\.0 of .*; the last one: 1 files/m);
});

testQuestion('what the web doors cost is answered', async (t) => {
  const { printed, figures } = await ask(t, '--web', '--mib', '2', '--files', '60');
  t.regex(printed, /^zip .* MB\/s/m);
  const { zipBytes, pageMs, serverPeakBytes } = figures as Record<string, number>;
  t.true(zipBytes! > 0 && pageMs! > 0 && serverPeakBytes! > 0);
});

testQuestion('what imports cost is answered', async (t) => {
  const missing = ['restic', 'rsync'].filter((name) => spawnSync(name, ['version']).error);
  if (missing.length > 0) {
    t.pass(`not installed: ${missing.join(', ')}`);
    return;
  }
  const { printed, figures } = await ask(t, '--imports', '--quick', '--mib', '1');
  t.regex(printed, /^hard links .*\nrestic /m);
  const { lines } = figures as { lines: { importBytes: number; leastBytes: number }[] };
  for (const { importBytes, leastBytes } of lines) t.true(importBytes >= leastBytes);
});

interface Compared {
  readonly limits: readonly { readonly name: string; readonly cpuMs: number }[];
  readonly failures: readonly unknown[];
}

testQuestion('backups are compared with the limits of the machine', async (t) => {
  const [work, json] = [scratch(t), path.join(scratch(t), 'figures.json')];
  const options = [
    '--files',
    '60',
    '--runs',
    '1',
    '--no-memory',
    '--without',
    'restic',
    '--without',
    'borg',
  ];
  const all = [MAIN, ...options, '--work', work, '--json', json];
  const printed = execFileSync(process.execPath, all, { encoding: 'utf8', timeout: TIMEOUT_MS });
  t.regex(printed, /^walk \+ hash \+ compress +first /m);
  const { limits, failures } = JSON.parse(fs.readFileSync(json, 'utf8')) as Compared;
  t.deepEqual(failures, []);
  t.deepEqual(
    limits.map(({ name }) => name),
    ['walk', 'read', 'hash', 'compress', 'encrypt', 'decompress', 'create'],
  );
  t.deepEqual(fs.readdirSync(work), [], 'nothing is left');
});
