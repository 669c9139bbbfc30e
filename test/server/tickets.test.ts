// Pace: slow
/** Continuing a session: tickets, replayed bytes, and attacks by another peer on a parked session. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { BackupResult } from '../../src/client/index.js';
import { StoreWriter } from '../../src/store/writer/index.js';
import type { Daemon } from '../../src/server/index.js';
import { openClientDirectory } from '../../src/store/index.js';
import type { Address } from '../../src/system/index.js';
import type { Head } from '../../src/transport/index.js';
import { Peer, PLAIN_SET } from '../helpers/hand-made-peer.js';
import {
  backupTo,
  dumpHistory,
  type InlineBackup,
  inlineSystem,
  startInline,
} from '../helpers/inline.js';
import { type Fate, Link } from '../helpers/link.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { dir, file, makeTree, noise, text } from '../helpers/tree.js';
import { pause, until } from '../helpers/until.js';

const KIB = 1 << 10;
const PATIENCE = { forMs: 60_000, firstWaitMs: 1 };
const NO_TICKET = Buffer.alloc(0);
const system = inlineSystem();

type Lab = Awaited<ReturnType<typeof lab>>;

async function lab(t: ExecutionContext) {
  const home = scratchInMemory(t);
  const [store, source] = [path.join(home, 'store'), path.join(home, 'tree')];
  makeTree(source, [
    dir('a', [file('b', text('b', 30 * KIB)), file('c', noise('c', 200 * KIB))]),
    file('large', noise('large', 3 << 20)),
  ]);
  const daemon = await startInline(system, store, { creditBytes: 256 * KIB });
  t.teardown(() => daemon.stop());
  return { store, source, daemon, port: portOf(daemon) };
}

function portOf({ address }: Daemon): number {
  return (address as Extract<Address, { kind: 'tcp' }>).port;
}

async function linked(t: ExecutionContext, lab: Lab, fates: readonly Fate[]): Promise<Link> {
  const link = await Link.start({ port: () => lab.port, fates, records: true });
  t.teardown(() => link.close());
  return link;
}

function save({ source }: Lab, port: number, options: InlineBackup = {}): Promise<BackupResult> {
  const reach = async (): Promise<Address> => ({ kind: 'tcp', host: '127.0.0.1', port });
  return backupTo(system, reach, 'me', [source], { patience: PATIENCE, ...options });
}

const greet = (port: number, { client = 'me', ...hello }: Partial<Head<'hello'>>): Promise<Peer> =>
  Peer.greet(port, client, hello);

/** Makes a session that is cut after it sent the beginning of a set; returns its welcome. */
async function parked({ port }: Lab): Promise<Head<'welcome'>> {
  const peer = await greet(port, { create: true });
  await peer.hears('welcome');
  const welcome = peer.welcome!;
  peer.send('acknowledge', { ticket: welcome.ticket, upTo: 0 });
  peer.send('openSet', PLAIN_SET);
  await peer.hears('setOpened');
  peer.cut();
  await peer.closed;
  return welcome;
}

const FREE_TRIES = 500;
const FREE_PAUSE_MS = 10;

/**
 * Opens a client, and again while it is busy: a child process of another file of tests may have its lock open for a
 * moment, between fork and exec.
 */
async function onceFree<T>(open: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await open();
    } catch (error) {
      if ((error as { code?: string }).code !== 'CLIENT_BUSY' || tries === FREE_TRIES) throw error;
      await pause(FREE_PAUSE_MS);
    }
  }
}

async function refused(t: ExecutionContext, peer: Peer, code: string, what: string): Promise<void> {
  await peer.closed;
  t.deepEqual(peer.codes, [code], what);
}

test('a wrong ticket is refused, and the session stays for its owner', async (t) => {
  const at = await lab(t);
  const { ticket } = await parked(at);
  const wrong = Buffer.from(ticket);
  wrong[15]! ^= 1;
  for (const [what, shown] of [
    ['one bit', wrong],
    ['shorter', ticket.subarray(0, 15)],
    ['longer', Buffer.concat([ticket, Buffer.alloc(1)])],
    ['zeros', Buffer.alloc(16)],
  ] as const) {
    await refused(t, await greet(at.port, { ticket: shown }), 'SESSION_GONE', what);
  }
  const reader = await greet(at.port, { ticket, purpose: 'read' });
  await refused(t, reader, 'NOT_PERMITTED', 'another purpose');
  const other = await greet(at.port, { ticket, client: 'you', create: true });
  await refused(t, other, 'SESSION_GONE', 'another client');
  const ahead = await greet(at.port, { ticket, upTo: 1000 });
  await refused(t, ahead, 'PROTOCOL_VIOLATION', 'answers that were never given');

  const owner = await greet(at.port, { ticket });
  await owner.hears('welcome');
  const { welcome } = owner;
  t.is(welcome!.upTo, 1, 'the message that came');
  t.notDeepEqual(welcome!.ticket, ticket, 'each connection has a ticket of its own');
  await owner.hears('setOpened'); // sent again
  owner.send('acknowledge', { ticket: welcome!.ticket, upTo: 1 });
  owner.cut();
  await owner.closed;
  await refused(t, await greet(at.port, { ticket }), 'SESSION_GONE', 'a ticket of before');
});

test('nothing is accepted from a peer that has not shown the newest ticket', async (t) => {
  const at = await lab(t);
  const { ticket } = await parked(at);
  const thief = await greet(at.port, { ticket });
  await thief.hears('welcome');
  thief.send('closeSet', {
    stats: {},
    seal: NO_TICKET,
    opened: NO_TICKET,
    purge: false,
    waits: false,
    runs: [],
  }); // as recorded from another connection
  await refused(t, thief, 'PROTOCOL_VIOLATION', 'before the ticket');
  const second = await greet(at.port, { ticket });
  await second.hears('welcome');
  second.send('acknowledge', { ticket, upTo: 0 });
  await refused(t, second, 'PROTOCOL_VIOLATION', 'with an old ticket');
  // The session still exists for the client, which has not received the newer tickets.
  const owner = await greet(at.port, { ticket });
  await owner.hears('welcome');
  await owner.hears('setOpened');
  t.is(owner.welcome!.upTo, 1);
  owner.cut();
});

test('a new login ends a parked session at once, and is refused while one is alive', async (t) => {
  const at = await lab(t);
  await parked(at);
  const result = await save(at, at.port);
  t.is(result.set, 2);
  const live = await greet(at.port, {});
  await live.hears('welcome');
  await refused(t, await greet(at.port, {}), 'CLIENT_BUSY', 'while it is alive');
  live.cut();
});

test('recorded messages of a link store nothing when they are sent again', async (t) => {
  const at = await lab(t);
  const fates: Fate[] = [
    { way: 'to-server', afterBytes: 600 * KIB, how: 'reset' },
    { way: 'to-client', afterBytes: 700, how: 'reset' },
    { way: 'to-server', afterBytes: 900 * KIB, how: 'end' },
  ];
  // The client must exist. Otherwise a replayed greeting would be refused because it creates the client.
  await save(at, at.port, { create: true });
  fs.writeFileSync(path.join(at.source, 'large'), noise('another', 3 << 20));
  const link = await linked(t, at, fates);
  const during: Promise<Buffer>[] = [];
  const result = await save(at, link.port, {
    // While the client is disconnected and its session is parked, another peer replays its bytes.
    onRetry: () => during.push(link.replay(0, 2000)),
  });
  await Promise.all(during);
  t.true(result.replacedConnections + result.restarts > 0);
  const place = { store: at.store, client: 'me' };
  const before = await dumpHistory(place);
  for (let index = 0; index < link.connections; index += 1) await link.replay(index, 300);
  t.deepEqual(await dumpHistory(place), before);
  // The next backup is not affected.
  fs.writeFileSync(path.join(at.source, 'a', 'b'), 'other');
  const next = await save(at, at.port);
  t.is(next.restarts, 0);
});

test('a parked session holds its lock against a client that can wait, and the server that stops ends it at a checkpoint', async (t) => {
  const at = await lab(t);
  await parked(at);
  const directory = openClientDirectory(system, { store: at.store, client: 'me' });
  // A process that can wait does not request the lock.
  const limits = { packBytes: 1 << 20, packContentBytes: 1 << 20, requestsLock: false };
  const open = (): Promise<{ abandon(): void }> => StoreWriter.open(system, directory, limits);
  await t.throwsAsync(open(), { code: 'CLIENT_BUSY' });
  const history = (): Promise<string[]> => dumpHistory({ store: at.store, client: 'me' });
  // Parking makes a checkpoint. A set that received nothing, and that no checkpoint has, ends without a trace.
  await until(async () => (await history()).length > 0);
  await at.daemon.stop();
  (await onceFree(open)).abandon();
  t.true((await history())[0]!.includes('unfinished'));
});
