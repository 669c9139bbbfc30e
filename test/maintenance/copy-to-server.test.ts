// Pace: long
/** Copies of a client to a server: from a store and from another server, broken off, and from peers that lie. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { CopyFeed } from '../../src/maintenance/rewrite/index.js';
import { TardisError } from '../../src/errors/index.js';
import type { StorageHost } from '../../src/server/index.js';
import {
  connect,
  decodeMessage,
  decodeNumbered,
  DEFAULT_LINK,
  type EncodedMessage,
  encodeMessage,
  type Head,
  isCopyQuestion,
  type MessageName,
  MESSAGES,
} from '../../src/transport/index.js';
import { greet, Login } from '../../src/transport/login/index.js';
import { rejectedCode } from '../helpers/codes.js';
import { copyOut, seenLabs, spoilt } from '../helpers/copied-history.js';
import { Link } from '../helpers/link.js';
import { checkInline } from '../helpers/damage.js';
import { lookAt } from '../helpers/damage-look.js';
import { type InlineServer, inlineSystem, startInline, withHistory } from '../helpers/inline.js';
import { changed, LIES, lying } from '../helpers/lied-catalogs.js';
import { PLAIN_SET } from '../helpers/hand-made-peer.js';
import { giveAccount, PASSWORD } from '../helpers/rewrites.js';
import { folderIn, scratchInMemory, written } from '../helpers/scratch.js';
import { threadsOf } from '../helpers/threads.js';

const SETS = [1, 2, 3, 5, 6, 7];

const labs = seenLabs(test);

type Target = Awaited<ReturnType<typeof target>>;

/** Starts an empty server that accepts copies, until the test ends. */
async function target(t: ExecutionContext, options: InlineServer = {}) {
  const place = { store: path.join(scratchInMemory(t), 'target'), client: 'me' };
  fs.mkdirSync(place.store);
  const daemon = await startInline(inlineSystem(), place.store, { acceptCopies: true, ...options });
  t.teardown(() => daemon.stop());
  if (daemon.address.kind !== 'tcp') throw new Error('the server listens on TCP');
  return { daemon, place, port: daemon.address.port };
}

test.serial('the catalog of a peer is examined in a thread of its own', async (t) => {
  const { lab } = labs.get(false)!;
  const { daemon } = await target(t);
  const order = { place: lab.place, to: daemon.address };
  const { threads } = await threadsOf(() => copyOut(order, { create: true }));
  t.is(threads.length, 1);
  const again = await threadsOf(() => copyOut(order));
  t.is(again.threads.length, 0, 'without news there is no catalog');
});

for (const isEncrypting of [false, true]) {
  const kind = isEncrypting ? 'sealed' : 'plain';

  test.serial(
    `a client is copied to a server that accepts copies, from a store and from another server (${kind})`,
    async (t) => {
      const { lab, look } = labs.get(isEncrypting)!;
      for (const source of [{ place: lab.place }, { from: lab.daemon.address }]) {
        const { daemon, place } = await target(t);
        const order = { ...source, to: daemon.address };
        const { sets, lostVersions } = await copyOut(order, { create: true });
        t.deepEqual([sets, lostVersions], [SETS, 0]);
        t.deepEqual(await lookAt(place, lab.keyring), look);
        t.deepEqual((await copyOut(order)).sets, []);
        t.is(await rejectedCode(copyOut(order, { create: true })), 'CLIENT_EXISTS');
        t.is(await rejectedCode(copyOut(order, { password: 'wrong' })), 'LOGIN_FAILED');
        const check = { keyring: lab.keyring, isEncrypted: isEncrypting };
        t.deepEqual((await checkInline(place, check)).findings, []);
      }
    },
  );

  test.serial(
    `a copy to a server goes on after each connection that is cut (${kind})`,
    async (t) => {
      const { lab, look } = labs.get(isEncrypting)!;
      const { place, port } = await target(t);
      const relay = await Link.during(t, port);
      let [requested, cuts] = [0, 0];
      const step = (): void => {
        requested += 1;
        if (requested % 3 !== 0 || cuts >= 6) return;
        cuts += 1;
        relay.cutNext();
      };
      const wrap = (feed: CopyFeed): CopyFeed => ({
        ...feed,
        open: () => {
          step();
          return feed.open();
        },
        piece: (...given) => {
          step();
          return feed.piece(...given);
        },
        objects: {
          ...feed.objects,
          read: (...given) => {
            step();
            return feed.objects.read(...given);
          },
        },
      });
      const to = { kind: 'tcp', host: '127.0.0.1', port: relay.port } as const;
      const patience = { forMs: 600_000, firstWaitMs: 1 };
      await copyOut({ place: lab.place, to }, { create: true, wrap, patience });
      t.true(
        cuts > 2 && relay.connections > cuts,
        `${cuts} cuts, ${relay.connections} connections`,
      );
      t.deepEqual(await lookAt(place, lab.keyring), look);
    },
  );
}

test.serial(
  'a catalog that was made to mislead is refused by the server, and its copy stays',
  async (t) => {
    const { lab, look } = labs.get(false)!;
    const { daemon, place } = await target(t);
    const order = { place: lab.place, to: daemon.address };
    await copyOut(order, { create: true });
    for (const [what, [code, change]] of Object.entries(LIES)) {
      const lie = lying(lab.place, scratchInMemory(t), change);
      t.is(await rejectedCode(copyOut(order, lie)), code, what);
    }
    t.deepEqual(await lookAt(place, undefined), look);
    t.deepEqual((await copyOut(order)).sets, []);
  },
);

test.serial(
  'records that a peer changes are not stored, and its own error ends the copy',
  async (t) => {
    for (const [isEncrypting, { lab, look }] of labs) {
      const { daemon, place } = await target(t);
      const order = { place: lab.place, to: daemon.address };
      t.true((await copyOut(order, { create: true, wrap: spoilt })).lostVersions > 0);
      const there = await lookAt(place, lab.keyring);
      for (const [name, entry] of there.entries) {
        t.true(entry === look.entries.get(name) || entry.endsWith('lost'), name);
      }
      const fail = (feed: CopyFeed): CopyFeed => ({
        ...feed,
        objects: {
          ...feed.objects,
          read: () => Promise.reject(new TardisError('IO_FAILED', 'the disk of the source')),
        },
      });
      t.is(await rejectedCode(copyOut(order, { wrap: fail })), 'IO_FAILED');
      t.is((await copyOut(order)).lostVersions, 0);
      t.deepEqual(await lookAt(place, lab.keyring), look, String(isEncrypting));
    }
  },
);

test.serial(
  'a server takes copies only if it accepts them, of owners with a password, with the keys of the source',
  async (t) => {
    const [plain, sealed] = [labs.get(false)!.lab, labs.get(true)!.lab];
    const closed = await target(t, { acceptCopies: false });
    const code = (...given: Parameters<typeof copyOut>) => rejectedCode(copyOut(...given));
    const refused = { place: plain.place, to: closed.daemon.address };
    t.is(await code(refused, { create: true }), 'NOT_PERMITTED');
    t.deepEqual(fs.readdirSync(closed.place.store), [], 'nothing was created');
    const { daemon, place } = await target(t);
    await copyOut({ place: sealed.place, to: daemon.address }, { create: true });
    await giveAccount(place, 'adder', ['add', 'list', 'read', 'purge']);
    t.is(
      await code({ place: sealed.place, to: daemon.address }, { account: 'adder' }),
      'NOT_PERMITTED',
    );
    t.is(await code({ place: plain.place, to: daemon.address }), 'COPY_DIFFERS');
    const other = { place: sealed.place, to: daemon.address, as: 'other' };
    t.is(await code(other, { create: true, password: 'wrong' }), 'LOGIN_FAILED');
    t.false(fs.existsSync(path.join(place.store, 'other')));
    const empty = { place: plain.place, to: daemon.address, as: 'empty' };
    const wrap = (feed: CopyFeed): CopyFeed => ({
      ...feed,
      open: () => Promise.reject(new TardisError('IO_FAILED', 'as the test wants')),
    });
    t.is(await code(empty, { create: true, wrap }), 'IO_FAILED');
    t.is(await code({ ...empty, place: sealed.place }), 'COPY_DIFFERS', 'it has other keys');
  },
);

test.serial('marks of sets that are at the server stay as they are', async (t) => {
  const { lab } = labs.get(false)!;
  const { daemon, place } = await target(t);
  const order = { place: lab.place, to: daemon.address };
  await copyOut(order, { create: true });
  const list = () =>
    withHistory(place, async (history) => (await history.sets()).map(({ marks }) => marks));
  const before = await list();
  t.deepEqual(before[1]?.tags, ['paid']);
  const change = changed('UPDATE backup_sets SET marks = NULL');
  await copyOut(order, lying(lab.place, scratchInMemory(t), change));
  t.deepEqual(await list(), before);
});

/** Logs in to a server, sends messages, one for each question of the server, and returns the code with which it ends. */
async function endOf(
  { port }: Target,
  purpose: 'backup' | 'read' | 'copy',
  messages: readonly ((question: number) => EncodedMessage)[],
): Promise<string> {
  const system = inlineSystem();
  const address = { kind: 'tcp', host: '127.0.0.1', port } as const;
  const connection = await connect(system, address, DEFAULT_LINK);
  const password = Buffer.from(PASSWORD);
  const request = { client: 'me', create: false, purpose };
  const login = await Login.prepare(system, request, { password, ask: async () => password });
  const waiting = [...messages];
  const send = (question: number): void => {
    const message = waiting.shift();
    if (message !== undefined) connection.sendEncoded(message(question));
  };
  return new Promise((resolve, reject) => {
    greet(connection, login, {
      hear: (name, bytes) => {
        if (isCopyQuestion(name)) send(decodeNumbered(name, bytes).number);
      },
      lost: ({ code }) => resolve(code),
    }).then(({ ticket }) => {
      if (purpose === 'backup') connection.send('acknowledge', { ticket, upTo: 0 });
      send(0);
    }, reject);
  });
}

test.serial(
  'a peer that breaks the rules of a copy is cut off, and the next copy goes on',
  async (t) => {
    const { lab, look } = labs.get(false)!;
    const there = await target(t);
    const order = { place: lab.place, to: there.daemon.address };
    await copyOut(order, { create: true });
    const start = () => encodeMessage('copyStart', { keyset: Buffer.alloc(0) });
    const reported = (more: Partial<Head<'copyOpened'>> = {}) => {
      const none = { offer: 1, endedUpTo: 0, commit: 1 };
      const head = { ...none, clientId: 'a'.repeat(32), point: '1-2-3-4', catalogBytes: 8192 };
      return (question: number) => encodeMessage('copyOpened', { question, ...head, ...more });
    };
    const piece = (question: number) =>
      encodeMessage('copyPieceIs', { question }, Buffer.alloc(99));
    const failed = (question: number) =>
      encodeMessage('copyFailed', { question, code: 'INTERNAL', message: '' });
    const openSet = () => encodeMessage('openSet', PLAIN_SET);
    const code = (...messages: Parameters<typeof endOf>[2]) => endOf(there, 'copy', messages);
    const violation = 'PROTOCOL_VIOLATION';
    t.is(await code(reported()), violation, 'an answer to no question');
    t.is(await code(start, start), violation, 'two beginnings');
    t.is(await code(openSet), violation, 'a backup');
    t.is(await code(start, openSet), violation, 'a backup meanwhile');
    t.is(await code(start, reported({ question: 999 })), violation, 'another question');
    t.is(await code(start, reported({ catalogBytes: 2 ** 32 })), violation, 'an endless catalog');
    t.is(await code(start, reported({ clientId: '../me' })), violation, 'an id that is none');
    t.is(await code(start, reported(), piece), 'RECORD_DAMAGED', 'no piece');
    t.is(await code(start, piece), violation, 'an answer of another kind');
    t.is(await code(start, failed), 'INTERRUPTED', 'an error of the peer');
    t.is(await code(start, () => failed(999)), violation, 'an error of another question');
    t.is(await endOf(there, 'read', [start]), violation);
    t.is(await endOf(there, 'backup', [start]), violation);
    t.deepEqual((await copyOut(order)).sets, []);
    t.deepEqual(await lookAt(there.place, undefined), look);
  },
);

/** Returns a host whose sessions get their messages, and send their answers, through these functions. */
function between(
  message: (name: MessageName, bytes: Buffer) => Buffer,
  answer: (bytes: Buffer) => readonly Buffer[],
): (host: StorageHost) => StorageHost {
  return (host) => ({
    open: async (directory, purpose, options, events) => {
      const handle = await host.open(directory, purpose, options, {
        ...events,
        answer: (bytes, processed) => {
          const all = bytes === undefined ? [undefined] : answer(bytes);
          for (const one of all) events.answer(one, processed);
        },
        closing: (requests) => events.closing(requests),
        failed: (error) => events.failed(error),
      });
      return {
        post: (name, bytes) => handle.post(name, message(name, bytes)),
        park: () => handle.park(),
        end: () => handle.end(),
        abandon: () => handle.abandon(),
      };
    },
    measure: (...given) => host.measure(...given),
    standing: (...given) => host.standing(...given),
    collectGarbage: (...given) => host.collectGarbage(...given),
    halt: () => host.halt(),
    close: () => host.close(),
  });
}

test.serial('more bytes than were requested are refused', async (t) => {
  const { lab } = labs.get(false)!;
  const longer = (name: MessageName, bytes: Buffer): Buffer => {
    if (name !== 'copyObjectIs') return bytes;
    const { head, attachment } = decodeMessage(name, bytes);
    if (!head.exists) return bytes;
    const more = encodeMessage(name, head, Buffer.concat([attachment, Buffer.alloc(1)]));
    return Buffer.concat([more.head, more.attachment!]);
  };
  const { daemon } = await target(t, { wrapHost: between(longer, (bytes) => [bytes]) });
  const copying = copyOut({ place: lab.place, to: daemon.address }, { create: true });
  t.is(await rejectedCode(copying), 'PROTOCOL_VIOLATION');
});

test.serial('a server that requests other files, or too much, gets nothing', async (t) => {
  const { lab } = labs.get(false)!;
  const objects: readonly Partial<Head<'copyObject'>>[] = [
    { object: 'packs/keys/1' },
    { object: 'format.json' },
    { object: '../../etc/passwd' },
    { bytes: 2 ** 40 },
  ];
  for (const lie of objects) {
    const reported: MessageName[] = [];
    const hear = (name: MessageName, bytes: Buffer): Buffer => {
      if (name === 'copyObjectIs' || name === 'copyFailed') reported.push(name);
      return bytes;
    };
    let lies = 0;
    const ask = (bytes: Buffer): Buffer[] => {
      if (bytes[0] !== MESSAGES.copyObject.number) return [bytes];
      lies += 1;
      const { head } = decodeMessage('copyObject', bytes);
      return [encodeMessage('copyObject', { ...head, ...lie }).head];
    };
    const { daemon } = await target(t, { wrapHost: between(hear, ask) });
    const copying = copyOut({ place: lab.place, to: daemon.address }, { create: true });
    t.is(await rejectedCode(copying), 'PROTOCOL_VIOLATION', JSON.stringify(lie));
    t.true(lies > 0);
    t.deepEqual(reported, [], 'a question of a lie has no answer');
  }
  const asIs = (_: MessageName, bytes: Buffer): Buffer => bytes;
  const many = (bytes: Buffer): Buffer[] =>
    bytes[0] === MESSAGES.copyOpen.number ? Array.from({ length: 30 }, () => bytes) : [bytes];
  const { daemon } = await target(t, { wrapHost: between(asIs, many) });
  const wrap = (feed: CopyFeed): CopyFeed => ({
    ...feed,
    open: () => new Promise(() => undefined),
  });
  const copying = copyOut({ place: lab.place, to: daemon.address }, { create: true, wrap });
  await t.throwsAsync(copying, { message: /requests too much at once/ });
});

test.serial('a copy keeps to the quota of its account', async (t) => {
  const { lab } = labs.get(false)!;
  const there = await target(t);
  const accounts = folderIn(there.place.store, '.accounts');
  const account = written(accounts, 'family', 'Targets: me\nSpaceQuota: 1 MB\n');
  const order = { place: lab.place, to: there.daemon.address };
  t.is(await rejectedCode(copyOut(order, { create: true })), 'QUOTA_EXCEEDED');
  fs.writeFileSync(account, 'Targets: me\nSpaceQuota: 100 MB\n');
  await copyOut(order);
  t.deepEqual(await lookAt(there.place, undefined), labs.get(false)!.look);
});
