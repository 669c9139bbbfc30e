// Pace: long
/** A store in a bucket: one machine backs up, and any machine reads. */
import fs from 'node:fs';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import { CLIENT, ServedLab, STORE } from '../helpers/bucket-lab.js';
import { codeIn, exited } from '../helpers/codes.js';
import { backupsRunHere, poolsStayAway, rest, run, Running, succeed } from '../helpers/commands.js';
import { seed } from '../helpers/seed.js';
import { partOf, sweepShare } from '../helpers/share.js';
import { differences, look, noise } from '../helpers/tree.js';
import { seededRandom } from '../support/seeded-random.js';
import type { S3Fault } from '../support/s3-faults.js';
import type { S3Record } from '../support/s3-server.js';
import { written } from '../helpers/scratch.js';

backupsRunHere();
poolsStayAway();

const random = seededRandom(seed);
const SECRET = 'gravel-Otter9-lamp';

test('backups to a bucket are listed, compared and restored on a machine that has only the bucket', async (t) => {
  const lab = await ServedLab.backedUp(t);
  const before = look(lab.source);
  lab.change(1);
  await lab.backUp('one');
  t.is((await lab.sets('two')).length, 2);
  t.regex(await lab.succeed('two', 'lstardis', [lab.source]), /large/);
  t.deepEqual(await lab.restored('two'), []);
  t.deepEqual(await lab.restored('two', ['-b', '1'], before), []);
  t.is((await lab.run('two', 'tardiff', ['-r', lab.source])).status, 0);
  t.is((await lab.run('two', 'tardiff', ['-r', '-b', '1', lab.source])).status, 1);
  for (const words of [['list'], ['info'], ['files', '1'], ['getconfig']]) {
    const printed = await lab.succeed('two', 'sonic', words);
    t.true(printed !== '' || words[0] === 'getconfig', words.join(' '));
  }
  const stats = await lab.succeed('two', 'sonic', ['stats', '--json']);
  t.true((JSON.parse(stats) as { packBytes: number }).packBytes > 5_000_000);
  exited(t, 0, await lab.run('two', 'sonic', ['check', '--read-data']));
  // A repository of later releases names the same bucket and client.
  const named = { env: lab.on('three') };
  await succeed('tardis', ['-R', `${STORE}/me`, lab.source], named);
  const listed = await succeed('lstardis', ['-R', `${STORE}/me`, '--json'], named);
  t.is((JSON.parse(listed) as { sets: unknown[] }).sets.length, 3);
});

test('a backup that changes nothing writes two commits and its record to the bucket, and lists the newest ones', async (t) => {
  const lab = await ServedLab.grown(t);
  await rest();
  await lab.backUp('one', ['--create']);
  const from = lab.server.requests.length;
  await lab.backUp('one');
  const requested = lab.server.requests
    .slice(from)
    .map(({ method, key }) => `${method} ${key.replace(/-[0-9a-f]{8}\./, '-ID.')}`);
  t.deepEqual(requested, [
    'GET all/c/me/client.json',
    'GET all/c/me/keys/00000001.key',
    'GET ', // the newest commits are listed
    'PUT all/c/me/g1/log/0000000003',
    'PUT all/c/me/g1/log/0000000004',
    'GET ', // the journal is listed
    'PUT all/c/me/runs/0000000002-0001-ID.run',
  ]);
});

test('a backup ends if the bucket keeps versions since it was probed, and then ignores conditions', async (t) => {
  const rules = { isVersioned: false, conditions: 'without versions' as const };
  const lab = await ServedLab.backedUp(t, rules);
  rules.isVersioned = true;
  for (let tries = 0; tries < 2; tries += 1) {
    const refused = await lab.run('one', 'tardis', ['--local', lab.source]);
    t.is(codeIn(refused), 'BUCKET_UNSAFE', refused.stderr);
  }
  rules.isVersioned = false;
  await lab.backUp('one');
});

test('a backup leaves out the cache of its own store', async (t) => {
  const lab = await ServedLab.grown(t);
  await lab.backUp('tree/own', ['--create']);
  await lab.backUp('tree/own');
  const caches = lab.at('tree/own-cache/tardis/buckets');
  const cache = path.join(caches, fs.readdirSync(caches)[0]!);
  t.true(fs.existsSync(path.join(cache, 'me', 'tardis.db')));
  t.regex(await lab.succeed('two', 'lstardis', [caches]), /^[0-9a-f]{32}$/m);
  t.notRegex(await lab.succeed('two', 'lstardis', [cache]), /^me$/m);
});

test('an encrypted client in a bucket needs its password on every machine', async (t) => {
  const lab = await ServedLab.grown(t);
  const given = lab.password(SECRET);
  await lab.backUp('one', [...given, '--create', '--crypt']);
  lab.change(1);
  await lab.backUp('one', given);
  const { objects } = lab.server;
  for (const name of objects.keys()) {
    const bytes = objects.bytesOf(name)!;
    t.false(bytes.includes('letter') || bytes.includes('new-1'), `a name is in ${name}`);
  }
  t.is((await lab.sets('two', given)).length, 2);
  t.deepEqual(await lab.restored('two', given), []);
  const wrong = lab.at('wrong');
  fs.writeFileSync(wrong, `${SECRET}x`, { mode: 0o600 });
  const refused = await lab.run('two', 'lstardis', ['--password-file', wrong, lab.source]);
  t.is(codeIn(refused), 'LOGIN_FAILED');
});

test('a machine whose cache is gone, damaged or of another client goes on', async (t) => {
  const lab = await ServedLab.backedUp(t);
  written(lab.cacheOf('one'), 'tardis.db', noise(9, 100_000));
  lab.change(1);
  await lab.backUp('one');
  t.deepEqual(await lab.restored('one'), []);
  fs.rmSync(lab.at('one-cache'), { recursive: true });
  lab.change(2);
  await lab.backUp('one');
  t.is((await lab.sets('one')).length, 3);
  lab.server.objects.versions.clear();
  const gone = await lab.run('one', 'lstardis', []);
  t.is(codeIn(gone), 'NO_SUCH_CLIENT');
  await lab.backUp('two', ['--create']);
  t.is((await lab.sets('one')).length, 1);
  t.deepEqual(await lab.restored('one'), []);
});

test('a bucket that lost commits, or has others, is not taken for the store', async (t) => {
  const lab = await ServedLab.backedUp(t);
  await lab.backUp('one');
  const last = 'all/c/me/g1/log/0000000004';
  const { objects } = lab.server;
  const kept = objects.versions.get(last)!;
  objects.versions.delete(last);
  t.is(codeIn(await lab.run('one', 'lstardis', [])), 'STORE_FORKED');
  t.is(codeIn(await lab.run('one', 'tardis', ['--local', lab.source])), 'STORE_FORKED');
  await lab.backUp('two');
  t.is(codeIn(await lab.run('one', 'lstardis', [])), 'STORE_FORKED');
  objects.versions.set(last, kept);
  objects.versions.delete('all/c/me/g1/log/0000000005');
  t.is((await lab.sets('one')).length, 2);
});

test('a check finds a changed byte in a bucket', async (t) => {
  const lab = await ServedLab.backedUp(t);
  const { objects } = lab.server;
  const pack = objects.keys().find((name) => name.includes('/packs/'))!;
  objects.spoil(pack, (bytes) => {
    bytes[bytes.length >> 1]! ^= 1;
    return bytes;
  });
  t.regex(exited(t, 3, await lab.run('two', 'sonic', ['check', '--read-data'])).stdout, /large/);
});

test('of machines that create a client at once, one succeeds, and none later', async (t) => {
  const lab = await ServedLab.grown(t);
  const at = (machine: string) =>
    lab.beside(machine, 'tardis', ['--local', '--create', lab.source]);
  const both = await Promise.all([at('one'), at('two')]);
  const codes = both.map((one) => (one.status === 0 ? 'done' : codeIn(one)));
  t.true(codes.includes('done'), codes.join(' '));
  t.true(
    codes.every((code) => ['done', 'STORE_TAKEN', 'CLIENT_EXISTS'].includes(code!)),
    codes.join(' '),
  );
  t.is(codeIn(await at('three')), 'CLIENT_EXISTS');
  t.deepEqual(await lab.restored('three'), []);
});

test('two machines that back up one client at once lose nothing', async (t) => {
  const lab = await ServedLab.backedUp(t);
  let done = 1;
  for (let round = 1; round <= 3; round += 1) {
    lab.change(round);
    const at = (machine: string) => lab.beside(machine, 'tardis', ['--local', lab.source]);
    for (const outcome of await Promise.all([at('one'), at('two')])) {
      if (outcome.status === 0) done += 1;
      else t.is(codeIn(outcome), 'STORE_TAKEN', outcome.stderr);
    }
  }
  t.true(done > 1);
  const complete = (await lab.sets('three')).filter(({ state }) => state === 'complete');
  t.is(complete.length, done);
  await lab.backUp('two');
  t.deepEqual(await lab.restored('three'), []);
});

test('clients are copied from a directory to a bucket and back, and copies are brought up to date', async (t) => {
  const lab = await ServedLab.grown(t);
  const [first, last] = [lab.at('first'), lab.at('last')];
  const given = lab.password(SECRET);
  const env = lab.on('one');
  const onOne = (tool: 'tardis' | 'sonic' | 'regenerate', words: readonly string[]) =>
    succeed(tool, words, { env });
  for (const round of [1, 2]) {
    lab.change(round);
    const create = round === 1 ? ['--create', '--crypt'] : [];
    const here = ['-D', first, '-C', 'me', ...given];
    await onOne('tardis', ['--local', ...here, ...create, lab.source]);
    const anew = round === 1 ? ['--create'] : [];
    await onOne('sonic', ['copy', '-D', first, '-C', 'me', '--to', STORE, ...anew]);
    if (round === 1) fs.rmSync(lab.at('one-cache'), { recursive: true });
  }
  t.is((await lab.sets('two', given)).length, 2);
  t.deepEqual(await lab.restored('two', given), []);
  t.regex(await lab.succeed('two', 'sonic', ['clients']), /^me +2 /m);
  await lab.succeed('two', 'sonic', ['copy', '--to', last, '--create']);
  const output = lab.at('output');
  await onOne('regenerate', ['-D', last, '-C', 'me', ...given, '-o', output, lab.source]);
  t.deepEqual(differences(look(lab.source), look(path.join(output, 'tree'))), []);
  const again = await lab.succeed('three', 'sonic', ['copy', '--to', last]);
  t.regex(again, /nothing new/);
  await onOne('sonic', ['delete', '1', '--yes', '-D', first, '-C', 'me', ...given]);
  await onOne('sonic', ['copy', '-D', first, '-C', 'me', '--to', STORE, '--delete']);
  t.is((await lab.sets('two', given)).length, 1);
  t.deepEqual(await lab.restored('two', given), []);
  const next = lab.at('next');
  fs.writeFileSync(next, `${SECRET}-2`, { mode: 0o600 });
  await onOne('sonic', ['chpass', '-D', first, '-C', 'me', ...given, '--newpassword-file', next]);
  await onOne('sonic', ['copy', '-D', first, '-C', 'me', '--to', STORE]);
  t.is(codeIn(await lab.run('four', 'lstardis', given)), 'LOGIN_FAILED');
  t.is((await lab.sets('two', ['--password-file', next])).length, 1);
});

/** Maximum number of requests of one backup. */
const MOST_REQUESTS = 24;

interface Moment {
  /** The number of the request. */
  readonly number: number;
  readonly fault: S3Fault;
}

/** The sweeps through the requests of a backup. */
const SWEEPS = ['killed', 'faulty', 'first'] as const;

/**
 * Returns some requests of a backup, each with a fault, which TEST_SEED chooses. Among them is each fault. A request of
 * each kind, which follows from its method and the name of its object without numbers, is in one of the sweeps; the
 * seed chooses in which.
 */
function momentsIn(
  t: ExecutionContext,
  sweep: (typeof SWEEPS)[number],
  requests: readonly S3Record[],
  faults: readonly S3Fault[],
): Moment[] {
  t.true(requests.length > 0 && requests.length < MOST_REQUESTS, `${requests.length} requests`);
  const all = requests.flatMap(({ method, key }, number) => {
    const kind = `${method} ${key.replaceAll(/[0-9a-f]{6,}|\d+/g, '#')}`;
    return faults.map((fault) => ({ number, fault, kind }));
  });
  const hasTurn = (kind: string): boolean =>
    (seed + crc32(kind)) % SWEEPS.length === SWEEPS.indexOf(sweep);
  return partOf(all, sweepShare, random, ({ kind, fault }) =>
    hasTurn(kind) ? [kind, fault] : [fault],
  );
}

/** A lab whose server meets the request of a moment with its fault, after the running backup was killed if it is to be. */
class Struck {
  running: Running | undefined;
  lab!: ServedLab;
  private moment: Moment | undefined;
  private from = 0;

  static async start(t: ExecutionContext): Promise<Struck> {
    const struck = new Struck();
    struck.lab = await ServedLab.start(t, { faultAt: (request) => struck.faultAt(request) });
    struck.lab.grow();
    return struck;
  }

  private faultAt({ number }: S3Record): S3Fault | undefined {
    if (number - this.from !== this.moment?.number) return undefined;
    this.running?.signalGroup('SIGKILL');
    return this.moment.fault;
  }

  /** Returns the requests of some work. */
  async requestsOf(work: () => Promise<unknown>): Promise<readonly S3Record[]> {
    this.from = this.lab.server.requests.length;
    await work();
    return this.lab.server.requests.slice(this.from);
  }

  /** Does some work, which makes the request of the moment. */
  async strike(t: ExecutionContext, moment: Moment, work: () => Promise<unknown>): Promise<void> {
    this.moment = moment;
    const { length } = await this.requestsOf(work);
    this.moment = undefined;
    t.true(length > moment.number, reported(moment));
  }
}

function reported({ number, fault }: Moment): string {
  return `TEST_SEED=${seed}, request ${number}: ${fault}`;
}

for (const isKilled of [true, false]) {
  const faults: readonly S3Fault[] = [
    isKilled ? 'drop' : 'internal',
    'apply, drop',
    'drop, apply later',
  ];
  const title = isKilled
    ? 'a backup that is killed at any request loses nothing, and the next one goes on'
    : 'a backup goes on after a fault at any request';
  test(title, async (t) => {
    const struck = await Struck.start(t);
    const { lab } = struck;
    const parity = isKilled ? ['--parity', '3'] : []; // in one of the two sweeps
    await lab.backUp('one', ['--create', ...parity]);
    lab.change(MOST_REQUESTS);
    const requests = await struck.requestsOf(() => lab.backUp('one', parity));
    for (const [turn, moment] of momentsIn(
      t,
      isKilled ? 'killed' : 'faulty',
      requests,
      faults,
    ).entries()) {
      lab.change(turn);
      await struck.strike(t, moment, async () => {
        const words = ['--local', ...parity, lab.source];
        if (isKilled) {
          struck.running = new Running('tardis', [...words, ...CLIENT], { env: lab.on('one') });
          await struck.running.ended;
          return;
        }
        const { status, stderr } = await lab.run('one', 'tardis', words);
        t.is(status, 0, `${reported(moment)}: ${stderr}`);
      });
      lab.server.settle();
      if (isKilled) await lab.backUp('one');
      t.deepEqual(await lab.restored(`fresh-${turn}`), [], reported(moment));
    }
  });
}

test('a first backup that is killed at any request is run again', async (t) => {
  const struck = await Struck.start(t);
  const { lab } = struck;
  await lab.backUp('known', ['--create']);
  const words = ['--local', '--create', lab.source];
  const empty = (machine: string): void => {
    lab.server.objects.versions.clear();
    lab.teach(machine, 'known');
  };
  empty('counted');
  const requests = await struck.requestsOf(() => lab.succeed('counted', 'tardis', words));
  for (const [turn, moment] of momentsIn(t, 'first', requests, ['drop', 'apply, drop']).entries()) {
    const [one, fresh] = [`one-${turn}`, `fresh-${turn}`];
    empty(one);
    await struck.strike(t, moment, async () => {
      struck.running = new Running('tardis', [...words, ...CLIENT], { env: lab.on(one) });
      await struck.running.ended;
    });
    const again = await lab.run(one, 'tardis', words);
    // The last request may have completed the set.
    if (again.status !== 0) t.is(codeIn(again), 'CLIENT_EXISTS', again.stderr);
    t.deepEqual(await lab.restored(fresh), [], reported(moment));
  }
});

test('a client that sonic creates in a bucket is there for every machine, and is created once', async (t) => {
  const lab = await ServedLab.grown(t);
  const given = lab.password('a secret of four words');
  await lab.succeed('one', 'sonic', ['create', ...given]);
  t.is(codeIn(await lab.run('two', 'sonic', ['create', ...given])), 'CLIENT_EXISTS');
  t.is(codeIn(await lab.run('one', 'sonic', ['create', ...given])), 'CLIENT_EXISTS');
  await lab.backUp('two', given);
  t.deepEqual(await lab.restored('three', given), []);
  // The cache of a machine keeps no client from being created that somebody has removed.
  for (const key of lab.server.objects.keys()) {
    if (key.includes('/c/me/')) lab.server.objects.remove(key);
  }
  await lab.succeed('one', 'sonic', ['create', ...given, '--trust-store']);
});

test('commands that cannot work with a bucket report it', async (t) => {
  for (const [reason, tool, ...words] of [
    ['only tardis --local', 'tardis', '/tmp'],
    [
      'keeps every earlier key record',
      'sonic',
      'keys',
      '--extract',
      '--remove',
      '--keys',
      '/tmp/k',
    ],
  ] as const) {
    const refused = await run(tool, [...words, '-D', STORE]);
    t.is(codeIn(refused), 'CONFIG_INVALID', refused.stderr);
    t.true(refused.stderr.includes(`${STORE} is a bucket, and`), refused.stderr);
    t.true(refused.stderr.includes(reason), refused.stderr);
  }
});

test('a bucket that cannot arbitrate is written to only by a single writer', async (t) => {
  const lab = await ServedLab.grown(t, { conditions: 'ignored' });
  const refused = await lab.run('one', 'tardis', ['--local', '--create', lab.source]);
  t.is(codeIn(refused), 'BUCKET_UNSAFE', refused.stderr);
  await lab.backUp('one', ['--create', '--single-writer']);
  lab.change(1);
  await lab.backUp('one', ['--single-writer']);
  t.true(lab.names(/\/runs\//).length >= 2, 'the runs are recorded there too');
  t.deepEqual(await lab.restored('two'), []);
});
