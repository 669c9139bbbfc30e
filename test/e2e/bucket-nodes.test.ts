// Pace: long
/** Several servers over one bucket: a client finds the one that has its session, and another one takes over. */
import fs from 'node:fs';
import test from 'ava';
import { NodeClient, startNode } from '../helpers/bucket-nodes.js';
import { ServedLab } from '../helpers/bucket-lab.js';
import { codeIn } from '../helpers/codes.js';
import { backupsRunHere, poolsStayAway, type Server } from '../helpers/commands.js';
import { seed } from '../helpers/seed.js';
import { ofThisRun, partOf, smallShare } from '../helpers/share.js';
import { noise } from '../helpers/tree.js';
import type { S3Fault } from '../support/s3-faults.js';
import { seededRandom } from '../support/seeded-random.js';
import type { S3Options, S3Record, S3Server } from '../support/s3-server.js';
import { pause, until } from '../helpers/until.js';

backupsRunHere();
poolsStayAway();

/** Checkpoints so small that a backup has many. */
const SMALL = '[Pipeline]\nCheckpointSize = 1M\n';
const NODE = 'f'.repeat(31);

/** Arguments that name several servers. */
function toAny(...servers: readonly Server[]): string[] {
  return ['--server', servers.map(({ port }) => `127.0.0.1:${port}`).join(','), '--insecure-tcp'];
}

/**
 * Acts at a commit of a client: the n-th PUT into its log, counted from the moment when it is set. The second commit of a
 * backup is the first one with contents. How many follow depends on how fast the client is: a later one may be the last.
 */
class AtCommit {
  private left = 0;
  private act: (() => S3Fault | undefined) | undefined;

  faultAt({ method, key }: S3Record): S3Fault | undefined {
    if (this.act === undefined || method !== 'PUT' || !key.includes('/log/')) return undefined;
    this.left -= 1;
    if (this.left > 0) return undefined;
    const { act } = this;
    this.act = undefined;
    return act();
  }

  set(commit: number, act: () => S3Fault | undefined): void {
    this.left = commit;
    this.act = act;
  }

  get isDone(): boolean {
    return this.act === undefined;
  }
}

async function startLab(t: Parameters<typeof startNode>[0], options: S3Options = {}) {
  const at = new AtCommit();
  const lab = await ServedLab.grown(t, { ...options, faultAt: (request) => at.faultAt(request) });
  const small = ['--config', lab.at('small.cfg')];
  fs.writeFileSync(small[1]!, SMALL);
  const [one, two] = [await startNode(t, lab, 'one', small), await startNode(t, lab, 'two', small)];
  const me = new NodeClient(lab, 'me');
  const to = toAny(one, two);
  await me.succeed(to, 'tardis', ['--create', lab.source]);
  return { at, lab, one, two, me, to };
}

function growMuch(source: string, round = 0): void {
  for (let file = 0; file < 30; file += 1) {
    fs.writeFileSync(`${source}/much-${file}`, noise(1000 * (round + 1) + file, 200_000));
  }
}

/** True if the last session of a server has ended. */
function hasEnded({ running }: Server): boolean {
  return /STORE_TAKEN|"session over"/.test(running.stderr.split('"session begins"').at(-1)!);
}

function startsOf({ running }: Server): number {
  return running.stderr.split('"session begins"').length - 1;
}

/** A server that looked for leases looks again after this time (LOOK_MS of src/server/bucket-servers.ts). */
const LOOKS_AGAIN_MS = 1010;
/**
 * The faults of the commit at which a server is paused: the commit takes effect before another server takes over, after
 * that, or never. Behind the last commit of a backup, the server has nothing to write. A run takes one case, which
 * TEST_SEED chooses.
 */
const WHEN_PAUSED = ([undefined, 'apply, drop', 'drop, apply later', 'hang'] as const).flatMap(
  (fault) => [
    { fault, isLast: false },
    { fault, isLast: true },
  ],
);

for (const { fault, isLast } of ofThisRun(WHEN_PAUSED)) {
  const moment = `${isLast ? 'at its last commit' : 'at a commit'}, ${fault ?? 'answered'}`;
  test(`a server that was paused (${moment}) acknowledges nothing when it wakes up`, async (t) => {
    const { at, lab, one, two, me, to } = await startLab(t, { laterBy: Infinity });
    if (isLast) fs.writeFileSync(`${lab.source}/docs/letter`, 'a new one');
    else growMuch(lab.source);
    at.set(2, () => {
      one.running.signalGroup('SIGSTOP');
      return fault;
    });
    await me.succeed(to, 'tardis', ['--timeout', '3', '--reconnect', '90', lab.source]);
    t.true(at.isDone);
    t.true(startsOf(two) > 0);
    lab.server.settle();
    one.running.signalGroup('SIGCONT');
    await one.running.until('end of its session', () => hasEnded(one));
    // The woken server serves again, and sees what the other one has stored.
    t.deepEqual(await me.restored(one.clientArgs), []);
    lab.change(7);
    await me.succeed(to, 'tardis', [lab.source]);
    t.deepEqual(await me.restored(two.clientArgs), []);
    const complete = (await me.sets(two.clientArgs)).filter(({ state }) => state === 'complete');
    // A set whose last commit was stored is complete, although the client made one more at the other server.
    const isExtra = isLast && (fault === undefined || fault === 'apply, drop');
    t.is(complete.length, isExtra ? 4 : 3);
    await me.succeed(two.clientArgs, 'sonic', ['check', '--read-data']);
  });
}

/** Requests of a backup that are struck, counted from its start; it makes about as many. */
const MOST_REQUESTS = 30;

test('a backup is complete if its server is killed or paused at any request', async (t) => {
  let left = 0;
  let strike = (): S3Fault | undefined => undefined;
  const lab = await ServedLab.grown(t, {
    faultAt: () => {
      left -= 1;
      return left === 0 ? strike() : undefined;
    },
  });
  const small = ['--config', lab.at('small.cfg')];
  fs.writeFileSync(small[1]!, SMALL);
  const two = await startNode(t, lab, 'two', small);
  const me = new NodeClient(lab, 'me');
  await me.succeed(two.clientArgs, 'tardis', ['--create', lab.source]);
  const moments = Array.from({ length: MOST_REQUESTS }, (_, at) =>
    (['SIGKILL', 'SIGSTOP'] as const).flatMap((signal) =>
      ([undefined, 'drop', 'drop, apply later'] as const).map((fault) => ({ at, signal, fault })),
    ),
  ).flat();
  const chosen = partOf(moments, smallShare / 8, seededRandom(seed), ({ signal }) => [signal]);
  let sets = 1;
  for (const [turn, { at, signal, fault }] of chosen.entries()) {
    const moment = `TEST_SEED=${seed}, request ${at}: ${signal}, ${fault ?? 'answered'}`;
    const one = await startNode(t, lab, `one-${turn}`, small);
    growMuch(lab.source, turn + 1);
    strike = () => {
      one.running.signalGroup(signal);
      return fault;
    };
    left = at + 1;
    const words = ['--timeout', '3', '--reconnect', '90', lab.source];
    await me.succeed(toAny(one, two), 'tardis', words);
    left = 0; // a backup of fewer requests: a server that is paused while it ends would never end
    one.running.signalGroup('SIGCONT');
    lab.server.settle();
    await one.stop();
    t.deepEqual(await me.restored(two.clientArgs), [], moment);
    const complete = (await me.sets(two.clientArgs)).filter(({ state }) => state === 'complete');
    // A server that was struck after its last commit had no time to report it: the next server makes one more set.
    t.true([1, 2].includes(complete.length - sets), moment);
    sets = complete.length;
  }
  await me.succeed(two.clientArgs, 'sonic', ['check', '--read-data']);
});

/** Puts a lease into the bucket. */
function putLease(
  { objects }: S3Server,
  number: number,
  body: unknown,
  modifiedMs = Date.now(),
): void {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
  const id = String(number);
  const version = { id, bytes, etag: `"${id}"`, modifiedMs, headers: {}, retainUntilMs: 0 };
  objects.versions.set(`all/nodes/${NODE}${number.toString(16)}.json`, [version]);
}

function leaseAt({ port }: Server, client = 'me'): Record<string, unknown> {
  return { version: 1, host: '127.0.0.1', port, clients: [client] };
}

// A lease counts for some seconds: other tests would take the places of commands meanwhile.
test.serial('a client is sent to the server that has its session', async (t) => {
  const { at, lab, one, two, me } = await startLab(t);
  const before = startsOf(one);
  putLease(lab.server, 1, leaseAt(one));
  await me.succeed(two.clientArgs, 'tardis', [lab.source]);
  t.is(startsOf(one), before + 1);
  t.is(startsOf(two), 0);
  // Readers may stay; a change of the keys may not.
  t.is((await me.sets(two.clientArgs)).length, 2);
  const next = lab.at('next');
  fs.writeFileSync(next, 'the next secret', { mode: 0o600 });
  const change = ['chpass', '--newpassword-file', next];
  putLease(lab.server, 1, leaseAt(one));
  t.is(codeIn(await me.run(two.clientArgs, 'sonic', change)), 'CLIENT_ELSEWHERE');
  const begun = startsOf(two);
  // Another client has nothing to do with it, and neither has one of a server that is gone.
  putLease(lab.server, 1, leaseAt(one, 'you'));
  await pause(LOOKS_AGAIN_MS);
  await me.succeed(two.clientArgs, 'tardis', [lab.source]);
  const gone = await startNode(t, lab, 'gone');
  await gone.stop();
  putLease(lab.server, 1, leaseAt(gone));
  await pause(LOOKS_AGAIN_MS);
  await me.succeed(two.clientArgs, 'tardis', [lab.source]);
  t.is(startsOf(two), begun + 2);
  // The place that a server names is its NodeAddress.
  const named = ['--node-address', 'localhost:7421', '--config', lab.at('small.cfg')];
  const three = await startNode(t, lab, 'three', named);
  growMuch(lab.source);
  lab.server.objects.versions.delete(`all/nodes/${NODE}1.json`);
  await pause(LOOKS_AGAIN_MS);
  let lease = '';
  at.set(3, () => {
    const { objects } = lab.server;
    const leases = objects.keys().filter((key) => key.startsWith('all/nodes/'));
    lease = leases.map((key) => String(objects.bytesOf(key))).join('');
    return undefined;
  });
  await me.succeed(three.clientArgs, 'tardis', [lab.source]);
  t.like(JSON.parse(lease), { host: 'localhost', port: 7421, clients: ['me'] });
});

test.serial('a session is known to other servers while it lasts', async (t) => {
  const { at, lab, one, two, me } = await startLab(t);
  growMuch(lab.source);
  at.set(3, () => 'hang');
  const running = me.start(one.clientArgs, [lab.source]);
  await until(() => at.isDone);
  const leases = (): string[] => lab.server.objects.keys().filter((key) => key.includes('nodes/'));
  t.is(leases().length, 1);
  const again = await me.run(two.clientArgs, 'tardis', ['--reconnect', '0', lab.source]);
  t.is(codeIn(again), 'CLIENT_BUSY', again.stderr);
  t.is(startsOf(two), 0);
  running.signalGroup('SIGKILL');
  await running.ended;
  await one.kill();
  await one.running.ended;
  // A server that was started again is not kept away by the lease of its predecessor.
  const restarted = await startNode(t, lab, 'again', ['--port', String(one.port)]);
  await me.succeed(restarted.clientArgs, 'tardis', ['--reconnect', '0', lab.source]);
  await me.succeed(two.clientArgs, 'tardis', [lab.source]);
  t.deepEqual(await me.restored(two.clientArgs), []);
  await two.stop();
  t.is(leases().length, 1, 'that of the killed server');
});

test('a session whose client is gone ends when another server has taken over the client', async (t) => {
  const { at, lab, one, two, me } = await startLab(t);
  growMuch(lab.source);
  const running = me.start(one.clientArgs, [lab.source]);
  at.set(3, () => {
    running.signalGroup('SIGKILL');
    return undefined;
  });
  await one.running.until('a parked session', () => one.running.stderr.includes('session parked'));
  const isLeased = (key: string): boolean => key.includes('nodes/');
  await until(() => !lab.server.objects.keys().some(isLeased));
  await me.succeed(two.clientArgs, 'tardis', [lab.source]);
  t.is(startsOf(two), 1);
  await one.running.until('end of its session', () => hasEnded(one));
  t.deepEqual(await me.restored(one.clientArgs), []);
});

test('servers that send a client to each other are left after a few times', async (t) => {
  const { lab, one, two, me } = await startLab(t);
  const renew = (): void => {
    putLease(lab.server, 1, leaseAt(one));
    putLease(lab.server, 2, leaseAt(two));
  };
  renew();
  const timer = setInterval(renew, 1000);
  const from = lab.server.requests.length;
  const { status, stderr } = await me.run(one.clientArgs, 'tardis', [
    '--reconnect',
    '2',
    lab.source,
  ]);
  clearInterval(timer);
  t.is(status, 11, stderr);
  t.is(
    /\[([A-Z_]+)\]/.exec(
      stderr
        .split('\n')
        .filter((line) => line.includes('['))
        .at(-1)!,
    )![1],
    'CLIENT_ELSEWHERE',
  );
  t.true(lab.server.requests.length - from < 500);
});

test.serial(
  'leases that are damaged, huge, of another time or of no server stop nobody',
  async (t) => {
    const { lab, one, two, me } = await startLab(t);
    const good = leaseAt(one);
    const bad: unknown[] = [
      Buffer.from('{"version":1,'),
      Buffer.alloc(0),
      Buffer.alloc(1 << 20, 0x20),
      null,
      [],
      { ...good, version: 2 },
      { ...good, host: 'a host' },
      { ...good, host: '/run/socket' },
      { ...good, host: 7 },
      { ...good, port: 0 },
      { ...good, port: 70_000 },
      { ...good, port: '1' },
      { ...good, clients: 'me' },
      { ...good, clients: [['me'], { me: 1 }, '../me'] },
      { ...good, clients: Array.from({ length: 5000 }, () => 'me') },
    ];
    bad.forEach((body, number) => putLease(lab.server, number, body));
    const hourMs = 3_600_000;
    lab.server.objects.versions.set('all/nodes/other.json', []);
    await me.succeed(two.clientArgs, 'tardis', [lab.source]);
    t.is(startsOf(two), 1);
    bad.forEach((_, number) => putLease(lab.server, number, good, Date.now() + hourMs));
    putLease(lab.server, 0, good, Date.now() - 30_000);
    putLease(lab.server, 1, good, Date.now() - 2 * hourMs);
    await pause(LOOKS_AGAIN_MS);
    await me.succeed(two.clientArgs, 'tardis', [lab.source]);
    t.is(startsOf(two), 2);
    t.false(lab.server.objects.keys().includes(`all/nodes/${NODE}1.json`));
    // The place of a lease is no way around the rules for connections.
    putLease(lab.server, 0, { ...good, host: 'server.invalid' });
    await pause(LOOKS_AGAIN_MS);
    const refused = await me.run(two.clientArgs, 'tardis', [lab.source]);
    t.is(codeIn(refused), 'INSECURE_TCP_REFUSED', refused.stderr);
  },
);

test('clients back up through three servers at once, and go on when one is killed', async (t) => {
  const { at, lab, one, two } = await startLab(t);
  const three = await startNode(t, lab, 'three');
  growMuch(lab.source);
  const all = [one, two, three];
  const clients = Array.from({ length: 3 }, (_, number) => new NodeClient(lab, `client-${number}`));
  at.set(12, () => {
    void one.kill();
    return 'apply, drop';
  });
  await Promise.all(
    clients.map(async (client, number) => {
      const turned = [...all.slice(number), ...all.slice(0, number)];
      const to = toAny(...turned);
      for (const words of [['--create'], []]) {
        const { status, stderr } = await client.start(to, [...words, lab.source]).ended;
        t.is(status, 0, stderr);
      }
    }),
  );
  t.true(at.isDone);
  const complete: number[] = [];
  for (const client of clients) {
    t.deepEqual(await client.restored(toAny(two, three)), [], client.name);
    const sets = await client.sets(toAny(two, three));
    complete.push(sets.filter(({ state }) => state === 'complete').length);
    await client.succeed(toAny(two, three), 'sonic', ['check', '--read-data']);
  }
  // If the commit completed a set, its client learned nothing of it, and made another one.
  t.true([0, 1].includes(complete.reduce((sum, sets) => sum + sets) - 2 * clients.length));
  t.true(
    complete.every((sets) => sets >= 2),
    complete.join(),
  );
});
