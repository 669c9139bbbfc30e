// Pace: long
/** Runs of commands and servers in the journal of their client: what is recorded, by whom, and what no run claims. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { encodeRun, type RunRecord, wordsOf } from '../../src/model/index.js';
import { openClientDirectory, readRuns } from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { exited } from '../helpers/codes.js';
import {
  backupsRunHere,
  poolsStayAway,
  run,
  Running,
  Server,
  succeed,
  type Tool,
} from '../helpers/commands.js';
import { Peer, PLAIN_SET } from '../helpers/hand-made-peer.js';
import { leaveOut } from '../helpers/left-out.js';
import { lab, type Lab } from '../helpers/lab.js';
import { WORDS, wordsIn } from '../helpers/plaintext.js';
import { aRun } from '../helpers/runs.js';
import { readByPython, whyNoSecondReader } from '../helpers/second-reader.js';
import { dir, file, makeTree, noise } from '../helpers/tree.js';
import { until } from '../helpers/until.js';

backupsRunHere();
poolsStayAway();

const SECRET = '--password=gravel-Otter9-lamp';

/** Returns the records of a client, oldest first. */
function runsIn(store: string, client = 'me'): Promise<RunRecord[]> {
  const system = nodeSystem();
  return readRuns(system, openClientDirectory(system, { store, client }));
}

/** Returns what counts of some records in one line each. */
const shown = (runs: readonly RunRecord[]): string[] =>
  runs.map(({ kind, way, end, code }) => [kind, way, end, code].join(' ').trim());

/** A state directory of its own, and the records that wait in it. */
function stateIn({ at }: Lab) {
  const state = at('state');
  const waiting = (): string[] =>
    fs.existsSync(state)
      ? (fs.readdirSync(state, { recursive: true }) as string[]).filter((name) =>
          /runs\/[0-9a-f]{32}\/[0-9a-f]{16}\.\d+\.\d+$/.test(name),
        )
      : [];
  return { env: { XDG_STATE_HOME: state }, waiting };
}

/** Commands on a store with two sets, and the records that each adds. */
const COMMANDS: readonly [Tool, readonly string[], readonly string[]][] = [
  ['sonic', ['check'], ['check hand done']],
  ['sonic', ['check', '--read-data'], ['check hand done']],
  ['sonic', ['purge', '--keep-last', '1', '--preview'], []],
  ['sonic', ['delete', '1', '--dry-run'], []],
  ['sonic', ['orphans', '--dry-run'], []],
  ['sonic', ['delete', '1', '--yes'], ['purge hand done']],
  ['sonic', ['delete', '1', '--yes'], ['purge hand failed NO_SUCH_SET']],
  ['sonic', ['orphans'], ['collect hand done']],
  ['sonic', ['export', '--to', 'OUT', '--dry-run'], []],
  ['sonic', ['export', '--to', 'OUT'], ['restore hand done', 'export hand done']],
  ['sonic', ['list'], []],
  ['sonic', ['status'], []],
  ['sonic', ['check', '--no-such-option'], []],
  ['lstardis', ['/'], []],
];

test('a command that works on the backups leaves one record, and one that shows something leaves none', async (t) => {
  const made = lab(t);
  const { store, source, place, at } = made;
  const { env, waiting } = stateIn(made);
  const local = [...place, '--local', source];
  await succeed('tardis', [...local, '--dry-run'], { env }).catch(() => undefined);
  await succeed('tardis', [...local, '--create'], { env });
  await succeed('tardis', local, { env });
  const [first, second] = await runsIn(store);
  t.like(second, {
    kind: 'backup',
    end: 'done',
    isWhole: undefined,
    numbers: { set: 2, unread: 0 },
  });
  t.deepEqual(wordsOf(first!).roots, [source]);
  t.not(first!.id, second!.id);
  let before = 2;
  for (const [tool, words, wanted] of COMMANDS) {
    const given = words.map((word) => (word === 'OUT' ? at('out') : word));
    const [verb, ...rest] = tool === 'sonic' ? given : ['', ...given];
    await run(tool, [...(verb === '' ? [] : [verb!]), ...place, ...rest], { env });
    const all = await runsIn(store);
    t.deepEqual(shown(all.slice(before)).sort(), [...wanted].sort(), words.join(' '));
    before = all.length;
  }
  const checks = (await runsIn(store)).filter(({ kind }) => kind === 'check');
  t.is(checks[0]!.numbers.readBytes, 0);
  t.regex(wordsOf(checks[1]!).rules ?? '', /--read-data/);
  t.true(checks[1]!.numbers.readBytes! > 0 && checks[1]!.numbers.faults === 0);
  t.is(checks[1]!.numbers.totalBytes, checks[1]!.numbers.readBytes);
  t.deepEqual(waiting(), []);
});

test('a copy of all clients is a run of each, and an import is one of its own kind', async (t) => {
  const { store, source, at } = lab(t);
  for (const client of ['me', 'other'])
    await succeed('tardis', ['-D', store, '-C', client, '--local', '--create', source]);
  await succeed('sonic', ['copy', '--all', '-D', store, '--to', at('copy'), '--create']);
  for (const client of ['me', 'other'])
    t.deepEqual(shown(await runsIn(store, client)), ['backup hand done', 'copy hand done']);
  fs.renameSync(store, at('away'));
  t.not((await run('tardis', ['-D', store, '-C', 'me', '--local', source])).status, 0);
  t.not((await run('sonic', ['copy', '--all', '-D', store, '--to', at('copy')])).status, 0);
  fs.renameSync(at('away'), store);
  await succeed('sonic', ['copy', '--all', '-D', store, '--to', at('copy')]);
  t.deepEqual(
    shown(await runsIn(store, 'other')).slice(2),
    ['copy hand done'],
    'its own runs only',
  );
  await succeed('tardis', ['-D', store, '-C', 'me', '--local', source]);
  const own = shown(await runsIn(store, 'me'));
  t.true(own.includes('backup hand failed NO_SUCH_STORE'), own.join());
  makeTree(at('kept'), [dir('2026-01-02', [file('a', 'a')]), dir('2026-01-03', [file('a', 'b')])]);
  const sets = ['--sets', `${at('kept')}/%Y-%m-%d`, '--kept-as', '/kept', '-C', 'old', '-D', store];
  await run('tardis-import', [...sets, '--create', '--dry-run']);
  await succeed('tardis-import', [...sets, '--create']);
  const runs = await runsIn(store, 'old');
  t.deepEqual(shown(runs), ['import hand done']);
  t.is(runs[0]!.numbers.sets, 2);
});

test('rewrites keep the records without words, and nothing in clear remains when a client encrypts', async (t) => {
  const made = lab(t, [dir(WORDS.directory, [file(WORDS.name, WORDS.content), file('keep', 'k')])]);
  const { store, place, source } = made;
  const root = path.join(source, WORDS.directory);
  await succeed('tardis', [...place, '--local', '--create', '--no-crypt', SECRET, root]);
  t.true(wordsIn(store).includes('directory'), 'the words of a record are found by this search');
  await succeed('sonic', ['forget-path', ...place, SECRET, '--yes', path.join(root, WORDS.name)]);
  await succeed('sonic', ['forget-path', ...place, SECRET, '--finish', '--now', '--yes']);
  await succeed('sonic', ['check', ...place, SECRET]);
  t.true((await runsIn(store)).every(({ kind, words }) => kind !== 'backup' || !words));
  await succeed('tardis', [...place, '--local', SECRET, root]);
  t.deepEqual(wordsOf((await runsIn(store)).at(-1)!).roots, [root]);
  await succeed('sonic', ['encrypt', ...place, SECRET, '--yes']);
  t.deepEqual(wordsIn(store), []);
  const carried = await runsIn(store);
  t.true(carried.every(({ words, configured }) => words === undefined && !configured));
  t.deepEqual(shown(carried).slice(-1), ['rewrite hand done']);
  t.false(
    shown(carried).some((line) => line.startsWith('check')),
    'proofs of the old data',
  );
  await succeed('tardis', [...place, '--local', SECRET, root]);
  t.is((await run('tardis', [...place, '--local', SECRET, `${root}/none`])).status, 1);
  t.deepEqual(wordsIn(store), []);
  const sealed = (await runsIn(store)).filter(({ words }) => words !== undefined);
  t.true(sealed.length > 0 && sealed.every(({ words }) => words!.startsWith('~')));
  await succeed('sonic', ['rekey', ...place, SECRET, '--yes']);
  t.true((await runsIn(store)).every(({ words }) => words === undefined));
  t.is((await runsIn(store)).filter(({ kind }) => kind === 'backup').length, 4);
});

test('the second reader lists the runs of a client, and opens sealed words with its keys', async (t) => {
  const why = whyNoSecondReader();
  if (why !== undefined) {
    leaveOut(t, `left out: ${why}`);
    return;
  }
  const { store, place, source, at, written } = lab(t);
  const password = written('password', `${SECRET.slice('--password='.length)}\n`);
  const local = [...place, '--local', SECRET];
  await succeed('tardis', [...local, '--crypt', '--create', source]);
  for (let n = 0; n < 36; n += 1) await succeed('sonic', ['orphans', ...place, SECRET]);
  await succeed('tardis', [...local, source]);
  fs.writeFileSync(path.join(store, 'me', 'runs', '0000000001-0001-00000000.run'), 'no gzip');
  const wanted = await runsIn(store);
  const read = async (...options: string[]): Promise<RunRecord[]> => {
    const { stdout } = exited(t, 0, await readByPython('runs', store, 'me', ...options));
    return stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as RunRecord);
  };
  t.deepEqual(await read(), wanted);
  const opened = await read('--password-file', password);
  t.deepEqual(wordsOf(opened.at(-1)!).roots, [source]);
  t.deepEqual(
    opened.map(({ words: _, ...one }) => one),
    wanted.map(({ words: _, ...one }) => one),
  );
  t.true(fs.existsSync(at('store')));
});

test('a run that cannot reach its store waits on the machine, and the next one brings it along', async (t) => {
  const made = lab(t);
  const { store, source, place } = made;
  const { env, waiting } = stateIn(made);
  await succeed('sonic', ['create', ...place]);
  const server = await Server.start(store);
  const to = [...server.clientArgs, '--reconnect', '0', '-C', 'me', source];
  await server.kill();
  t.is((await run('tardis', to, { env })).status, 1);
  t.is(waiting().length, 1);
  t.deepEqual(await runsIn(store), []);
  const again = await Server.during(t, store, ['--port', String(server.port)]);
  await succeed('tardis', [...again.clientArgs, '-C', 'me', source], { env });
  t.deepEqual(waiting(), []);
  t.regex(shown(await runsIn(store)).join(), /^backup hand failed [A-Z_]+,backup hand done$/);
});

test('a run that is killed is cut off, in a local store and at a server', async (t) => {
  const made = lab(t);
  const { store, source, place, written } = made;
  const { env, waiting } = stateIn(made);
  await succeed('tardis', [...place, '--local', '--create', source], { env });
  const killing = ['--source', 'dump=sh -c "echo x; kill -9 $PPID"', source];
  const dead = await run('tardis', [...place, '--local', ...killing], { env, isProcess: true });
  t.is(dead.signal, 'SIGKILL', dead.stderr);
  t.is(waiting().length, 1);
  const state = await run('sonic', ['status', ...place, '--json'], { env });
  t.like(JSON.parse(state.stdout), { state: 'failed', cause: { code: 'cut' } });
  await succeed('tardis', [...place, '--local', source], { env });
  t.deepEqual(shown(await runsIn(store)).slice(1), ['backup hand cut', 'backup hand done']);
  t.deepEqual(waiting(), []);

  const server = await Server.during(t, store, [
    '--config',
    written('cfg', '[Tardis]\nParkTimeout = 1\n'),
  ]);
  const to = [...server.clientArgs, '-C', 'me'];
  t.is((await run('tardis', [...to, ...killing], { env, isProcess: true })).signal, 'SIGKILL');
  await until(async () => (await runsIn(store)).length === 4);
  const seen = (await runsIn(store)).at(-1)!;
  t.deepEqual(shown([seen]), ['backup server cut CONNECTION_LOST']);
  await succeed('tardis', [...to, source], { env });
  const own = (await runsIn(store)).at(-2)!;
  t.deepEqual(shown([own]), ['backup hand cut'], 'the own record counts in place of the other');
  t.is(own.id, seen.id);
  t.is((await runsIn(store)).length, 5);
});

test('a stop by the user is recorded as one', async (t) => {
  const { store, source, place } = lab(t);
  await succeed('tardis', [...place, '--local', '--create', source]);
  const stopping = ['--source', 'dump=sh -c "kill -2 $PPID; sleep 60"', source];
  const { status } = await run('tardis', [...place, '--local', ...stopping], { isProcess: true });
  t.is(status, 130);
  t.deepEqual(shown(await runsIn(store)).slice(1), ['backup hand stopped INTERRUPTED']);
});

test('what a server refuses is a run with the id of the client, also if that does not report it', async (t) => {
  const made = lab(t);
  const { store, source, place } = made;
  const { env, waiting } = stateIn(made);
  await succeed('sonic', ['create', ...place, SECRET]);
  await succeed('sonic', ['create', '-D', store, '-C', 'open']);
  const quota = (line: string): void =>
    fs.writeFileSync(path.join(store, '.accounts', 'a'), `${line}\nTargets: me open\n`);
  fs.mkdirSync(path.join(store, '.accounts'), { recursive: true });
  const server = await Server.during(t, store);
  const to = [...server.clientArgs, '-C', 'me', SECRET, source];
  quota('SpaceQuota: 3M');
  fs.writeFileSync(path.join(source, 'large'), noise('large', 12 << 20));
  for (const [what, space] of [
    ['in the middle', 'SpaceQuota: 3M'],
    ['at the start', 'SpaceQuota: 1M\nSpaceUsed: 1M'],
  ] as const) {
    quota(space);
    const before = (await runsIn(store)).length;
    exited(t, 1, await run('tardis', to, { env }));
    await until(async () => (await runsIn(store)).length > before);
    const added = (await runsIn(store)).slice(before);
    t.deepEqual(shown(added), ['backup hand failed QUOTA_EXCEEDED'], what);
    t.regex(added[0]!.words!, /^~/);
    t.deepEqual(waiting(), []);
  }
  // A client that reports nothing itself, again and again.
  const idOf = (n: number): string => `feedfeedfeedfe${10 + n}`;
  for (let n = 0; n < 20; n += 1) {
    const peer = await Peer.login(server.port, 'open', { purpose: 'backup', run: idOf(n) });
    peer.send('openSet', PLAIN_SET);
    await peer.closed;
    t.deepEqual(peer.codes, ['QUOTA_EXCEEDED']);
    await until(async () => (await runsIn(store, 'open')).length > 0);
  }
  const seen = await runsIn(store, 'open');
  t.deepEqual(shown(seen), ['backup server failed QUOTA_EXCEEDED']);
  t.is(seen[0]!.id, idOf(0));
});

test('a reader with few rights is named in the records of its runs', async (t) => {
  const { store, source, place, at, written } = lab(t);
  const [owner, own] = [
    written('owner', 'words of the owner'),
    written('own', 'words of the phone'),
  ];
  await succeed('tardis', [...place, '--local', '-F', owner, '--create', source]);
  const add = ['--add', 'phone', '--rights', 'list,read', '--newpassword-file', own];
  await succeed('sonic', ['account', ...place, '-F', owner, ...add]);
  const server = await Server.during(t, store);
  const as = [...server.clientArgs, '-C', 'me', '-F', own, '--account', 'phone'];
  await succeed('sonic', ['check', ...as]);
  await succeed('regenerate', [...as, '-o', at('out'), source]);
  const [, ...rest] = await runsIn(store);
  t.deepEqual(rest.map(({ kind, account }) => [kind, account]).sort(byText), [
    ['check', 'phone'],
    ['restore', 'phone'],
  ]);
});

test('a reader claims neither complete backups, nor roots, nor alerts, nor an account, and changes no record', async (t) => {
  const { store, source, place, at } = lab(t);
  await succeed('tardis', [...place, '--local', '--create', source]);
  const [backup] = await runsIn(store);
  const socket = at('socket');
  const near = new Running('tardisd', ['-D', store, '--local', socket]);
  t.teardown(() => near.signalGroup('SIGKILL'));
  await until(() => fs.existsSync(socket));
  const reader = await Peer.greet(socket, 'me', { purpose: 'read' });
  await reader.hears('welcome');
  const claims: RunRecord[] = [
    aRun(),
    aRun({ end: 'partly' }),
    aRun({ kind: 'alert', code: 'INTERVAL', numbers: { lateAfterMs: 9e12 } }),
    aRun({ way: 'server', end: 'failed' }),
    aRun({
      kind: 'check',
      account: 'phone',
      configured: ['AAAAAAAAAAAA'],
      numbers: { lateAfterMs: 9e12 },
    }),
    { ...backup!, end: 'failed', endedMs: backup!.endedMs + 1, isWhole: true },
  ];
  reader.send('noteRuns', { question: 1, runs: claims.map(encodeRun) });
  await reader.hears('runsNoted');
  const now = await runsIn(store);
  t.deepEqual(now[0], backup, 'no record is changed by another one with its id');
  t.deepEqual(
    now.map(({ id }) => id),
    [backup!.id, claims[4]!.id],
  );
  t.like(
    now.find(({ id }) => id === claims[4]!.id),
    { account: undefined, configured: undefined },
  );
  const { stdout } = await run('sonic', ['status', ...place, '--json']);
  t.like(JSON.parse(stdout), { state: 'good' });
});

test('a flood of records is bounded in the store', async (t) => {
  const { store, source, place, at } = lab(t);
  await succeed('tardis', [...place, '--local', '--create', source]);
  const socket = at('socket');
  const near = new Running('tardisd', ['-D', store, '--local', socket]);
  t.teardown(() => near.signalGroup('SIGKILL'));
  await until(() => fs.existsSync(socket));
  const reader = await Peer.greet(socket, 'me', { purpose: 'read' });
  await reader.hears('welcome');
  const words = JSON.stringify({ message: 'x'.repeat(400) });
  for (let question = 1; question <= 300; question += 1) {
    const runs = Array.from({ length: 80 }, () => encodeRun(aRun({ kind: 'restore', words })));
    reader.send('noteRuns', { question, runs });
    const noted = (): number => reader.names.filter((name) => name === 'runsNoted').length;
    await reader.until('runsNoted', () => noted() === question);
  }
  const folder = path.join(store, 'me', 'runs');
  t.true(fs.readdirSync(folder).length <= 257);
  t.true((await runsIn(store)).length >= 512);
});

function byText(one: unknown, other: unknown): number {
  return String(one) < String(other) ? -1 : 1;
}
