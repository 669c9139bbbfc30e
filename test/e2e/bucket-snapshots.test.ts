// Pace: long
/** Copies of the catalog in a bucket, by the commands: their requests and faults, lies of the store, thieves. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { ServedLab, STORE } from '../helpers/bucket-lab.js';
import { startsIn } from '../helpers/bucket-machines.js';
import { bucketAt } from '../helpers/buckets.js';
import { codeIn } from '../helpers/codes.js';
import { backupsRunHere, poolsStayAway, rest, succeed } from '../helpers/commands.js';
import { forgeSnapshot } from '../helpers/forged-snapshots.js';
import { seed } from '../helpers/seed.js';
import { ofThisRun, partOf, share } from '../helpers/share.js';
import type { Objects } from '../support/memory-object-store.js';
import { S3_FAULTS, type S3Fault } from '../support/s3-faults.js';
import { type S3Options, type S3Record } from '../support/s3-server.js';
import { seededRandom } from '../support/seeded-random.js';

backupsRunHere();
poolsStayAway();

const random = seededRandom(seed);
const SECRET = 'gravel-Otter9-lamp';
/** Faults that a command survives, or ends with an error; others last for a minute. */
const QUICK: readonly S3Fault[] = S3_FAULTS.filter((fault) => !fault.includes('hang'));

/** Starts machines with a client that is large enough for copies of its catalog. */
async function started(t: ExecutionContext, options: S3Options = {}): Promise<ServedLab> {
  const lab = await ServedLab.grown(t, options);
  lab.fill('many');
  return lab;
}

function copiesIn(lab: ServedLab): string[] {
  return lab.names(/\/snap\//);
}

function shown(requested: readonly S3Record[]): string[] {
  return requested.map(({ method, key }) => `${method} ${key.replace(/-[0-9a-f]{16}/, '-ID')}`);
}

test('a backup makes a copy with two requests, a later one without changes makes none, and a fresh machine reads it', async (t) => {
  const lab = await started(t);
  await rest();
  await lab.backUp('one', ['--create']);
  const [piece, ...more] = copiesIn(lab);
  t.deepEqual(more, []);
  const slot = Number(/snap\/(\d+)-/.exec(piece!)![1]);
  const log = (commit: number): string => `all/c/me/g1/log/${String(commit).padStart(10, '0')}`;
  const made = shown(lab.server.requests).slice(-3);
  const copy = `all/c/me/g1/snap/${String(slot).padStart(10, '0')}-ID/0000`;
  t.deepEqual(made, [`PUT ${copy}`, `PUT ${log(slot + 1)}`, 'GET ']);
  let from = lab.server.requests.length;
  await lab.backUp('one');
  const unchanged = lab.server.requests.slice(from).map(({ method }) => method);
  // The last two are of the journal: its list, and the record of the run.
  t.deepEqual(unchanged, ['GET', 'GET', 'GET', 'PUT', 'PUT', 'GET', 'PUT']);
  from = lab.server.requests.length;
  t.is((await lab.sets('two')).length, 2);
  const cold = shown(lab.server.requests.slice(from)).filter((one) => !/\.(?:json|key)$/.test(one));
  t.deepEqual(cold.slice(0, 4), [
    `GET ${log(1)}`,
    'GET ',
    `GET ${log(slot + 1)}`,
    `HEAD ${log(slot)}`,
  ]);
  t.deepEqual(cold.slice(4), [
    `GET ${copy}`,
    'GET ', // all commits are listed
    ...[2, 3, 4].map((later) => `GET ${log(slot + later)}`),
  ]);
  t.deepEqual(await lab.restored('two'), []);
  const check = await lab.run('two', 'sonic', ['check', '--read-data']);
  t.is(check.status, 0, check.stdout + check.stderr);
  lab.change(1);
  await lab.backUp('two');
  t.deepEqual(await lab.restored('one'), []);
});

test('copies are removed with their generation, and the new one gets copies of its own', async (t) => {
  const lab = await started(t);
  await lab.backUp('one', ['--create']);
  await lab.succeed('one', 'sonic', ['forget-path', `${lab.source}/docs`, '--yes']);
  await lab.succeed('one', 'sonic', ['forget-path', '--finish', '--now', '--yes']);
  t.deepEqual(copiesIn(lab), []);
  await lab.backUp('one');
  const [copy, ...more] = copiesIn(lab);
  t.regex(copy!, /c\/me\/g2-[0-9a-f]{16}\/snap\//);
  t.deepEqual(more, []);
  t.deepEqual(await lab.restored('two'), []);
});

test('the store lies or fails at any request of a fresh machine, and it finds what the log has, or an error', async (t) => {
  let struck: { readonly at: number; readonly fault: S3Fault } | undefined;
  const lab = await started(t, {
    faultAt: ({ number }) => (struck?.at === number ? struck.fault : undefined),
  });
  await lab.backUp('one', ['--create']);
  lab.change(1);
  await lab.backUp('one');
  const begin = lab.server.requests.length;
  t.is((await lab.sets('count')).length, 2);
  const requested = lab.server.requests.slice(begin);
  t.true(requested.some(({ key }) => key.includes('/snap/')));
  const cases = requested.flatMap(({ key, method }, at) =>
    QUICK.map((fault) => ({ at, fault, kind: `${method} ${key.replaceAll(/\d+/g, '#')}` })),
  );
  const chosen = partOf(cases, share, random, ({ fault, kind }) => [fault, kind]);
  for (const [turn, { at, fault }] of chosen.entries()) {
    struck = { at: lab.server.requests.length + at, fault };
    const machine = `fresh-${turn}`;
    const first = await lab.run(machine, 'lstardis', ['--json']);
    struck = undefined;
    lab.server.settle();
    const reported = `TEST_SEED=${seed}, request ${at}: ${fault}: ${first.stderr}`;
    if (fault !== 'stale 404' && first.status === 0) t.regex(first.stdout, /"sets"/, reported);
    t.is((await lab.sets(machine)).length, 2, reported);
    t.deepEqual(await lab.restored(machine), [], reported);
  }
});

test('an encrypted client restores by a copy, and refuses one with other rows by its seals', async (t) => {
  const lab = await started(t);
  const given = lab.password(SECRET);
  await lab.backUp('one', [...given, '--create', '--crypt']);
  t.is(copiesIn(lab).length, 1);
  for (const key of copiesIn(lab)) t.false(lab.server.objects.bytesOf(key)!.includes('nnnn'));
  t.deepEqual(await lab.restored('two', given), []);
  const like = lab.cacheOf('one');
  const whole = new Map(lab.server.objects.versions);
  const lies = [
    ['SELECT 1', true],
    [
      `UPDATE entries SET metadata = CAST(substr(metadata, 1, 2) || x'ff0f' || substr(metadata, 5) AS BLOB)
       WHERE type = 1 AND size_bytes = 200000`,
      false,
    ],
    ['DELETE FROM entries WHERE type = 1 AND size_bytes = 200000', false],
    ['DELETE FROM set_seals', false],
  ] as const;
  for (const [index, [sql, isGood]] of lies.entries()) {
    lab.server.objects.versions.clear();
    for (const [key, versions] of whole) lab.server.objects.versions.set(key, versions);
    await forge(t, lab, { like, sql });
    const machine = `victim-${index}`;
    const from = lab.server.requests.length;
    const output = lab.at(`out-${index}`);
    const got = await lab.run(machine, 'regenerate', [lab.source, '-o', output, ...given]);
    const requested = lab.server.requests.slice(from);
    const copies = requested.filter(({ key }) => key.includes('/snap/'));
    t.true(copies.length === 1 && copies[0]!.key.includes('-ffff'), `${sql}: the copy is used`);
    t.is(got.status === 0, isGood, `${sql}: ${got.stderr}`);
    if (!isGood) t.truthy(codeIn(got), got.stderr);
  }
});

/** Commits the name of a copy that was changed, as somebody with the access key but without the password can. */
async function forge(
  t: ExecutionContext,
  { server, home }: ServedLab,
  { like, sql }: { readonly like: string; readonly sql: string },
): Promise<void> {
  const objects: Objects = new Map(
    server.objects.keys().map((key) => {
      const bytes = server.objects.bytesOf(key)!;
      return [key.slice('all/'.length), { bytes, modifiedMs: Date.now() }];
    }),
  );
  const known = new Set(objects.keys());
  const folder = fs.mkdtempSync(path.join(home, 'forger-'));
  const on = await startsIn(folder, () => objects);
  const place = { client: 'me', path: like, catalogPath: path.join(like, 'tardis.db') };
  await forgeSnapshot(on(undefined, place), sql);
  const { store } = await bucketAt(server.url, { prefix: 'all' });
  t.teardown(() => store.close());
  for (const [name, { bytes }] of objects) if (!known.has(name)) await store.putNew(name, bytes);
}

test('what a thief did to copies: overwritten ones are brought back, deleted ones are not missed', async (t) => {
  const lab = await started(t, { locks: 'honoured' });
  const locked = ['--lock-days', '30'];
  await lab.backUp('one', ['--create', ...locked]);
  const [copy] = copiesIn(lab);
  const bytes = lab.server.objects.bytesOf(copy!)!;
  const { store } = await bucketAt(lab.server.url, { prefix: 'all' });
  t.teardown(() => store.close());
  const recover = async (words: readonly string[]) => {
    const printed = await succeed('sonic', ['bucket', '-D', STORE, '--json', ...locked, ...words], {
      env: lab.on('keeper'),
    });
    return JSON.parse(printed) as Readonly<Record<string, number>>;
  };
  await store.putOwn(copy!.slice('all/'.length), Buffer.from('junk'));
  t.deepEqual(await lab.restored('two'), []);
  t.like(await recover(['--recover']), { changed: 1, hidden: 0, lost: 0 });
  t.true(lab.server.objects.bytesOf(copy!)!.equals(bytes));
  await store.remove([copy!.slice('all/'.length)]);
  t.like(await recover(['--recover']), { changed: 0, hidden: 0, lost: 0 });
  t.deepEqual(copiesIn(lab), []);
  t.deepEqual(await lab.restored('three'), []);
  await recover(['--extend']);
});

test('a check names copies that no machine can use, and a repair replaces them', async (t) => {
  const lab = await started(t);
  await lab.backUp('one', ['--create']);
  lab.fill('more');
  await lab.backUp('one');
  const [older, newest, ...others] = copiesIn(lab).map((key) => key.slice('all/'.length));
  t.deepEqual(others, []);
  const { store } = await bucketAt(lab.server.url, { prefix: 'all' });
  t.teardown(() => store.close());
  const whole = new Map(lab.server.objects.versions);
  const bytes = lab.server.objects.bytesOf(`all/${newest!}`)!;
  const spoiled = Buffer.from(bytes);
  spoiled[spoiled.length >> 1]! ^= 1;
  const nobody = (commit: number): string =>
    `c/me/g1/snap/${commit.toString().padStart(10, '0')}-${'f'.repeat(16)}/0000`;
  const cases = [
    { piece: newest!, body: spoiled, state: 'damaged', isCheap: false, isHarm: true },
    { piece: newest!, body: Buffer.alloc(0), state: 'damaged', isCheap: true, isHarm: true },
    { piece: older!, body: spoiled, state: 'damaged', isCheap: false, isHarm: true },
    { piece: nobody(9_999_999_999), body: bytes, state: 'foreign', isCheap: true, isHarm: true },
    { piece: nobody(1), body: bytes, state: 'left', isCheap: true, isHarm: false },
  ] as const;
  for (const [turn, one] of ofThisRun(cases, ({ state }) => [state]).entries()) {
    const { piece, body, state, isCheap, isHarm } = one;
    const what = `${piece}: ${state}`;
    const machine = `keeper-${turn}`;
    lab.server.objects.versions.clear();
    for (const [key, versions] of whole) lab.server.objects.versions.set(key, versions);
    await store.putOwn(piece, body);
    for (const words of [[], ['--read-data']]) {
      const isSeen = isCheap || words.length > 0;
      const check = await lab.run(machine, 'sonic', ['check', '--json', ...words]);
      t.is(check.status, isSeen && isHarm ? 3 : 0, `${what}: ${check.stdout}${check.stderr}`);
      t.deepEqual(copyFindings(check.stdout), isSeen ? [`${shortOf(piece)} ${state}`] : [], what);
    }
    const repair = await lab.run(machine, 'sonic', ['check', '--repair']);
    t.is(repair.status, 0, `${what}: ${repair.stdout}${repair.stderr}`);
    t.true(repair.stdout.includes(`repair: ${shortOf(piece)}: this copy`), repair.stdout);
    const left = copiesIn(lab).map((key) => key.slice('all/'.length));
    t.false(left.includes(piece), what);
    t.is(left.length, [older, newest].includes(piece) ? 1 : 2, what);
    const after = await lab.run(machine, 'sonic', ['check', '--read-data']);
    t.is(after.status, 0, `${what}: ${after.stdout}`);
    const from = lab.server.requests.length;
    t.is((await lab.sets(`fresh-${turn}`)).length, 2);
    const fetched = lab.server.requests.slice(from).filter(({ key }) => key.includes('/snap/'));
    t.is(fetched.length, 1, `${what}: a fresh machine begins with one copy`);
  }
});

/** Returns the name of a copy below its generation. */
function shortOf(piece: string): string {
  return /snap\/[^/]+/.exec(piece)![0];
}

function copyFindings(printed: string): string[] {
  const lines = printed.trim().split('\n');
  const found = lines.map((line) => JSON.parse(line) as Record<string, string>);
  return found
    .filter(({ finding }) => finding === 'copy')
    .map(({ copy, state }) => `${copy} ${state}`);
}
