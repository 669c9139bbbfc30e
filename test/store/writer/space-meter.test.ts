/** Bytes that the sessions of one account may add together, whatever their clients do. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { sharedCount, SpaceMeter } from '../../../src/store/writer/index.js';
import { InlineStorageHost } from '../../../src/server/index.js';
import { EntryType } from '../../../src/model/index.js';
import { createClientDirectory } from '../../../src/store/index.js';
import { nodeSystem } from '../../../src/system/index.js';
import { encodeMessage, Purpose } from '../../../src/transport/index.js';
import { thrownCode } from '../../helpers/codes.js';
import { SMALL_STORE } from '../../helpers/inline.js';
import { rowOf } from '../../helpers/rows.js';
import { scratchInMemory } from '../../helpers/scratch.js';

function meters(quotaBytes: number): { one: SpaceMeter; other: SpaceMeter; added: () => number } {
  const used = sharedCount();
  const own = sharedCount();
  const grant = { account: 'a', quotaBytes, perFileBytes: 10, perDirectoryBytes: 30, used };
  return {
    one: new SpaceMeter({ ...grant, added: own }),
    other: new SpaceMeter({ ...grant, added: sharedCount() }),
    added: () => Number(own[0]),
  };
}

const isRefused = (take: () => void): boolean => thrownCode(take) === 'QUOTA_EXCEEDED';

test('sessions share what is left, and what is refused is not counted', (t) => {
  const { one, other, added } = meters(100);
  one.take(60);
  t.true(isRefused(() => other.take(41)));
  t.is(other.usedBytes, 60);
  other.take(40);
  t.true(isRefused(() => one.take(1)));
  t.true(isRefused(() => one.requireRoom()));
  t.is(one.usedBytes, 100);
  t.is(added(), 60);
});

test('entries cost what the account is charged', (t) => {
  const { one } = meters(75);
  one.takeEntry(true);
  for (let count = 0; count < 4; count += 1) one.takeEntry(false);
  t.true(isRefused(() => one.takeEntry(false)));
  t.is(one.usedBytes, 70);
  one.take(5);
});

test('what was stored in the end is what counts', (t) => {
  const { one, added } = meters(100);
  one.take(80);
  one.settle(30); // the rest was a duplicate
  t.is(one.usedBytes, 30);
  one.takeEntry(false);
  one.settle(95); // the server's own records are not refused
  t.is(one.usedBytes, 105);
  t.is(added(), 105);
  t.true(
    isRefused(() => one.take(0)),
    'but nothing comes after them',
  );
});

const NOTHING = Buffer.alloc(0);
const OPEN_SET = encodeMessage('openSet', {
  name: '',
  clientTimeMs: 0,
  paths: [Buffer.from('/tree')],
  rows: rowOf('tree', { type: EntryType.directory }),
  devices: ['1'],
  empties: Buffer.of(0),
  trust: false,
  full: false,
  priority: 0,
  expendable: false,
  tags: [],
}).head;
const STREAM = { stream: 1, isPart: false, codec: 0, fileSizeBytes: 1 << 20, cipher: NOTHING };
const STREAM_OPEN = encodeMessage('streamOpen', STREAM).head;
const LONG = Buffer.alloc(1 << 20, 7);
const MANY_NOTES = encodeMessage('notes', {
  slots: Array.from({ length: 500 }, () => -1),
  names: Array.from({ length: 500 }, () => NOTHING),
  whats: Array.from({ length: 500 }, () => 'unreadable'),
  reasons: Array.from({ length: 500 }, () => 'x'.repeat(100)),
}).head;

/** Opens a session of a new client with this many bytes left in its quota. */
async function session(t: ExecutionContext, leftBytes: number) {
  const system = nodeSystem();
  const directory = await createClientDirectory(system, {
    store: scratchInMemory(t),
    client: 'me',
  });
  const grant = { account: 'a', quotaBytes: 1 << 20, perFileBytes: 0, perDirectoryBytes: 0 };
  const [used, added] = [sharedCount(), sharedCount()];
  used[0] = BigInt(grant.quotaBytes - leftBytes);
  const space = { ...grant, used, added };
  let fail: (code: string) => void;
  const failed = new Promise<string>((resolve) => (fail = resolve));
  const options = { ...SMALL_STORE, space };
  const handle = await new InlineStorageHost(system).open(directory, Purpose.backup, options, {
    answer: () => undefined,
    closing: () => undefined,
    failed: ({ code }) => fail(code),
  });
  t.teardown(() => handle.abandon());
  return { handle, failed, directory, used: () => Number(used[0]) };
}

test('a client that does not mind the welcome is refused its set', async (t) => {
  const { handle, failed } = await session(t, 0);
  handle.post('openSet', OPEN_SET);
  t.is(await failed, 'QUOTA_EXCEEDED');
});

test('a chunk too many is not stored, and what was staged counts no more', async (t) => {
  const { handle, failed, directory, used } = await session(t, 100_000);
  handle.post('openSet', OPEN_SET);
  handle.post('streamOpen', STREAM_OPEN);
  const { head, attachment } = encodeMessage('streamChunk', { stream: 1 }, LONG);
  handle.post('streamChunk', Buffer.concat([head, attachment!]));
  t.is(await failed, 'QUOTA_EXCEEDED');
  t.deepEqual(fs.readdirSync(path.join(directory.path, 'incoming')), []);
  const [pack] = fs.readdirSync(path.join(directory.path, 'packs'));
  const { size } = fs.statSync(path.join(directory.path, 'packs', pack!));
  t.is(used() - ((1 << 20) - 100_000), size, 'the records of the set, and nothing else');
});

test('notes, of which there may be any number, count too', async (t) => {
  const { handle, failed } = await session(t, 100_000);
  handle.post('openSet', OPEN_SET);
  for (let count = 0; count < 100; count += 1) handle.post('notes', Buffer.from(MANY_NOTES));
  t.is(await failed, 'QUOTA_EXCEEDED');
});
