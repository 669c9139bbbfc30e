/** Tests of the interface `StorageHost` in src/server/storage/storage-host.ts, for every implementation. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { TardisError } from '../../src/errors/index.js';
import type { StorageHost } from '../../src/server/index.js';
import { type ClientDirectory, createClientDirectory } from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { decodeMessage, encodeMessage, peekMessage } from '../../src/transport/index.js';
import { rejectedCode } from '../helpers/codes.js';
import { PLAIN_SET } from '../helpers/hand-made-peer.js';
import { backupInline, inlineSystem, SMALL_STORE, tapped, withHistory } from '../helpers/inline.js';
import { type Message, StorageClient } from '../helpers/storage-client.js';
import { makeScratch, removeScratch, scratchInMemory } from '../helpers/scratch.js';
import { dir, file, makeTree, noise, text } from '../helpers/tree.js';

const KIB = 1 << 10;
const GARBAGE = {
  limits: SMALL_STORE.store,
  graceMs: 0,
  wasteRatio: 0.5,
  isThorough: true,
  skipFile: '',
  leastFreeBytes: 0,
  forgets: false,
} as const;

/** The messages of a whole backup, and the names of the answers to them. */
type Recorded = Awaited<ReturnType<typeof record>>;

async function record(home: string) {
  const messages: Message[] = [];
  const answers: string[] = [];
  const source = path.join(home, 'tree');
  makeTree(source, [
    dir('small', [file('one', text(1, 900)), file('two', text(2, 12 * KIB))]),
    file('middle', noise(3, 90 * KIB)),
    file('large', noise(4, 1100 * KIB)),
  ]);
  const wrapHost = tapped(() => ({
    message: (name, bytes) => messages.push({ name, bytes: Buffer.from(bytes) }),
    answer: (answer) => {
      answers.push(peekMessage(answer, 'to-client'));
      return answer;
    },
  }));
  const place = { store: path.join(home, 'store'), client: 'me' };
  await backupInline(inlineSystem(), place, [source], { create: true, wrapHost });
  return { messages, answers };
}

const bytesOf = (messages: readonly Message[]): number =>
  messages.reduce((sum, { bytes }) => sum + bytes.length, 0);

function newClient(t: ExecutionContext, client = 'me'): Promise<ClientDirectory> {
  return createClientDirectory(nodeSystem(), { store: scratchInMemory(t), client });
}

const setsIn = (directory: ClientDirectory): Promise<string[]> =>
  withHistory({ store: path.dirname(directory.path), client: directory.client }, async (history) =>
    (await history.sets()).map(({ state }) => state),
  );

/** Declares the tests. `make` returns a host for all of them, which the last one closes. */
export function storageHostSuite(make: () => StorageHost): void {
  let home: string;
  let recorded: Recorded;
  let host: StorageHost;
  test.before(async () => {
    home = makeScratch();
    recorded = await record(home);
    host = make();
  });
  test.after.always(async () => {
    await host.close();
    removeScratch(home);
  });
  const lab = (): { host: StorageHost; recorded: Recorded } => ({ host, recorded });
  orderSuite(lab);
  endingSuite(lab);
  errorsSuite(lab);
  readingSuite(lab);
  questionsSuite(lab);
}

type Lab = () => { readonly host: StorageHost; readonly recorded: Recorded };

function orderSuite(lab: Lab): void {
  test('a backup that is posted at once is answered in the order of its messages', async (t) => {
    const { host, recorded } = lab();
    for (const isShared of [false, true]) {
      const directory = await newClient(t);
      const session = await StorageClient.open(host, directory, 'backup');
      session.replay(recorded.messages, isShared);
      await session.until(() => session.processedBytes === bytesOf(recorded.messages));
      await session.handle.end();
      const wanted = (name: string): boolean => name !== 'received' && name !== 'durable';
      t.deepEqual(session.names.filter(wanted), recorded.answers.filter(wanted));
      t.deepEqual(session.failures, []);
      t.deepEqual(await setsIn(directory), ['complete']);
    }
  });

  test('sessions of several clients do not disturb each other', async (t) => {
    const { host, recorded } = lab();
    const directories = await Promise.all(
      ['one', 'two', 'three'].map((name) => newClient(t, name)),
    );
    const sessions = await Promise.all(
      directories.map((directory) => StorageClient.open(host, directory, 'backup')),
    );
    for (const message of recorded.messages) {
      for (const session of sessions) session.replay([message]);
    }
    for (const [index, session] of sessions.entries()) {
      await session.until(() => session.processedBytes === bytesOf(recorded.messages));
      t.is(session.names.filter((name) => name === 'setClosed').length, 1);
      await session.handle.end();
      t.deepEqual(await setsIn(directories[index]!), ['complete']);
    }
  });

  test('requests for the time after a set are reported once, before the set is closed', async (t) => {
    const { host, recorded } = lab();
    const session = await StorageClient.open(host, await newClient(t), 'backup');
    session.replay(recorded.messages.filter(({ name }) => name !== 'closeSet'));
    await session.until(() => session.names.includes('setOpened'));
    t.deepEqual(session.requests, []);
    const nothing = Buffer.alloc(0);
    session.send('closeSet', {
      stats: {},
      seal: nothing,
      opened: nothing,
      purge: true,
      waits: false,
      runs: [],
    });
    await session.until(() => session.names.includes('setClosed'));
    t.is(session.requests.length, 1);
    const [requests, answersBefore] = session.requests[0]!;
    t.deepEqual(requests, { isPurgeRequested: true, isAwaited: false });
    t.true(answersBefore <= session.names.indexOf('setClosed'));
    await session.handle.end();
  });

  test('a checkpoint comes without a further message', async (t) => {
    const { host, recorded } = lab();
    const session = await StorageClient.open(host, await newClient(t), 'backup');
    const upTo = recorded.messages.findIndex(({ name }) => name === 'closeSet');
    session.replay(recorded.messages.slice(0, upTo));
    await session.until(() => session.processedBytes === bytesOf(recorded.messages.slice(0, upTo)));
    session.answers.length = 0;
    session.handle.park();
    await session.until(() => session.names.includes('durable'));
    t.true(session.names.includes('durable'));
    await session.handle.abandon();
  });
}

function endingSuite(lab: Lab): void {
  test('an end while messages wait handles all of them first', async (t) => {
    const { host, recorded } = lab();
    const directory = await newClient(t);
    const session = await StorageClient.open(host, directory, 'backup');
    session.replay(recorded.messages);
    const [first, second] = [session.handle.end(), session.handle.end()];
    await Promise.all([first, second, session.handle.abandon()]);
    t.true(session.names.includes('setClosed'));
    t.true(session.processedBytes <= bytesOf(recorded.messages));
    t.deepEqual(await setsIn(directory), ['complete']);
  });

  test('an end keeps what was received, and abandoning discards it', async (t) => {
    const { host, recorded } = lab();
    const upTo = recorded.messages.findIndex(({ name }) => name === 'closeSet');
    const begun = recorded.messages.slice(0, upTo);
    const large = { ...SMALL_STORE, checkpoint: { bytes: 1e9, entries: 1e6, intervalMs: 1e9 } };
    for (const [how, sets] of [
      ['end', ['unfinished']],
      ['abandon', []],
    ] as const) {
      const directory = await newClient(t);
      const session = await StorageClient.open(host, directory, 'backup', large);
      session.replay(begun);
      await session.until(() => session.processedBytes === bytesOf(begun));
      await session.handle[how]();
      t.deepEqual(await setsIn(directory), [...sets], how);
      t.deepEqual(session.failures, []);
    }
  });

  test('after its end a session takes no message, and may be ended again', async (t) => {
    const { host } = lab();
    const directory = await newClient(t);
    const session = await StorageClient.open(host, directory, 'backup');
    await session.handle.end();
    t.notThrows(() => session.send('openSet', PLAIN_SET));
    t.notThrows(() => session.handle.park());
    await t.notThrowsAsync(session.handle.end());
    await t.notThrowsAsync(session.handle.abandon());
    t.deepEqual([session.names, session.failures], [[], []]);
    const next = await StorageClient.open(host, directory, 'backup');
    await next.handle.abandon();
  });
}

function errorsSuite(lab: Lab): void {
  test('one backup of a client at a time; the next one finds it free', async (t) => {
    const { host } = lab();
    const directory = await newClient(t);
    const first = await StorageClient.open(host, directory, 'backup');
    const codes = [
      rejectedCode(StorageClient.open(host, directory, 'backup')),
      rejectedCode(host.collectGarbage(directory, GARBAGE)),
    ];
    t.deepEqual(await Promise.all(codes), ['CLIENT_BUSY', 'CLIENT_BUSY']);
    await first.handle.abandon();
    const second = await StorageClient.open(host, directory, 'backup');
    await second.handle.end();
  });

  test('a wrong message fails its session once, with a code, and sets the client free', async (t) => {
    const { host } = lab();
    const directory = await newClient(t);
    const other = await StorageClient.open(host, await newClient(t, 'other'), 'backup');
    const session = await StorageClient.open(host, directory, 'backup');
    session.handle.post('openSet', Buffer.from('no message'));
    session.handle.post('openSet', Buffer.from('nor this'));
    session.send('openSet', PLAIN_SET);
    await session.until(() => session.failures.length > 0);
    t.true(session.failures[0] instanceof TardisError);
    t.is(session.failures[0]!.code, 'PROTOCOL_VIOLATION');
    await session.handle.end();
    t.is(session.failures.length, 1);
    t.deepEqual(session.names, []);
    const next = await StorageClient.open(host, directory, 'backup');
    await next.handle.abandon();
    other.send('openSet', PLAIN_SET);
    await other.until(() => other.names.includes('setOpened'));
    t.deepEqual(other.failures, [], 'the session beside it goes on');
    await other.handle.abandon();
  });

  test('a client that cannot be opened is refused with a code', async (t) => {
    const { host } = lab();
    const directory = await newClient(t);
    fs.writeFileSync(
      directory.catalogPath,
      'no catalog at all, but long enough to be one'.repeat(99),
    );
    for (const purpose of ['backup', 'read'] as const) {
      const opening = StorageClient.open(host, directory, purpose);
      const error = await t.throwsAsync(opening, { instanceOf: TardisError });
      t.regex(error.code, /^CATALOG_/, purpose);
    }
    const counting = host.measure(directory, true);
    t.regex(String(await rejectedCode(counting)), /^CATALOG_/);
    t.regex(String(await rejectedCode(host.standing(directory, false))), /^CATALOG_/);
  });
}

function readingSuite(lab: Lab): void {
  test('a reader is answered beside a backup, in the order of its questions', async (t) => {
    const { host, recorded } = lab();
    const directory = await newClient(t);
    const writer = await StorageClient.open(host, directory, 'backup');
    writer.replay(recorded.messages);
    await writer.until(() => writer.names.includes('setClosed'));
    const reader = await StorageClient.open(host, directory, 'read');
    reader.send('readSets', { question: 1 });
    reader.send('readVersions', { question: 2, path: Buffer.from('/nowhere') });
    reader.send('readRoots', { question: 3, set: 1 });
    reader.send('deleteSets', { question: 4, sets: [99], preview: true });
    reader.send('readSets', { question: 5 });
    await reader.until(() => reader.answers.length === 5);
    t.deepEqual(reader.names, ['setsAre', 'entriesAre', 'rootsAre', 'questionFailed', 'setsAre']);
    t.like(decodeMessage('questionFailed', reader.answers[3]!).head, {
      question: 4,
      code: 'NO_SUCH_SET',
    });
    await writer.handle.end();
    await reader.handle.end();
  });

  test('a reader that ends or is wrong gets no further answer', async (t) => {
    const { host, recorded } = lab();
    const directory = await newClient(t);
    const writer = await StorageClient.open(host, directory, 'backup');
    writer.replay(recorded.messages);
    await writer.handle.end();
    const ended = await StorageClient.open(host, directory, 'read');
    for (let question = 1; question <= 20; question += 1) ended.send('readSets', { question });
    await ended.handle.end();
    const reported = ended.answers.length;
    const wrong = await StorageClient.open(host, directory, 'read');
    const { head } = encodeMessage('readVersions', { question: 1, path: Buffer.from('/x') });
    wrong.handle.post('readVersions', head.subarray(0, -1));
    wrong.send('readSets', { question: 2 });
    await wrong.until(() => wrong.failures.length > 0);
    t.is(wrong.failures[0]!.code, 'PROTOCOL_VIOLATION');
    t.deepEqual(wrong.names, []);
    t.is(ended.answers.length, reported);
    t.deepEqual(ended.failures, []);
    await wrong.handle.end();
  });
}

function questionsSuite(lab: Lab): void {
  test('the space and the state of a client are reported while it is in use', async (t) => {
    const { host, recorded } = lab();
    const directory = await newClient(t);
    t.deepEqual(await host.measure(directory, true), { bytes: 0, files: 0, directories: 0 });
    const session = await StorageClient.open(host, directory, 'backup');
    session.replay(recorded.messages);
    await session.until(() => session.names.includes('setClosed'));
    const space = await host.measure(directory, true);
    t.true(space.bytes > 1100 * KIB);
    t.deepEqual([space.files, space.directories], [4, 2]);
    t.is((await host.measure(directory, false)).files, 0);
    const standing = await host.standing(directory, true);
    t.like(standing, { facts: { completeSets: 1 }, newest: { set: 1 } });
    t.true(standing.figures!.storedBytes! > 0);
    t.is((await host.standing(directory, false)).figures, undefined);
    await session.handle.end();
  });

  test('garbage is collected of a client that no session has', async (t) => {
    const { host, recorded } = lab();
    const directory = await newClient(t);
    const session = await StorageClient.open(host, directory, 'backup');
    session.replay(recorded.messages);
    await session.handle.end();
    const done = await host.collectGarbage(directory, GARBAGE);
    t.like(done, { isDone: true, contents: 0, forgotten: 0, purgeFailure: undefined });
    t.deepEqual([done.early, done.purged], [[], []]);
  });
}
