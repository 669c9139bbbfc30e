/**
 * Rows of new directories are written by one statement for a parcel. The store is the same, byte for byte, as if each
 * row was written alone.
 */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { InlineStorageHost } from '../../src/server/index.js';
import { createClientDirectory, openClientDirectory } from '../../src/store/index.js';
import { RowReader } from '../../src/model/index.js';
import { sharedCount } from '../../src/store/writer/index.js';
import { type NativeCalls, nodeSystem } from '../../src/system/index.js';
import { decodeMessage, encodeMessage } from '../../src/transport/index.js';
import { inlineLab, inlineSystem, SMALL_STORE, tapped } from '../helpers/inline.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { type Message, StorageClient } from '../helpers/storage-client.js';
import { dir, file, makeTree, noise, symlink, text } from '../helpers/tree.js';
import { ManualClock } from '../support/manual-clock.js';

const KIB = 1 << 10;
const TABLES = ['entries', 'contents', 'records', 'directories', 'unplaced_directories'];

/** Returns the messages of two backups: everything is new in the first one, and a directory in the second one. */
async function recorded(t: ExecutionContext): Promise<Message[][]> {
  const few = (name: string) =>
    dir(
      name,
      [1, 2, 3, 4, 5, 6].map((n) => file(`${n}`, text(`${name} ${n}`, 300 * n))),
    );
  const { source, backup } = inlineLab(t, [
    ...['a', 'b', 'c'].map(few),
    dir('deep', [dir('er', [few('est'), symlink('to', 'est/1'), file('empty', Buffer.alloc(0))])]),
    dir(
      'copies',
      [1, 2, 3].map((n) => file(`${n}`, text('a 1', 300))),
    ),
    file('middle', noise(3, 90 * KIB)),
    file('large', noise(4, 1100 * KIB)),
  ]);
  const sets: Message[][] = [];
  for (const create of [true, false]) {
    const messages: Message[] = [];
    const wrapHost = tapped(() => ({
      message: (name, bytes) => void messages.push({ name, bytes: Buffer.from(bytes) }),
    }));
    await backup({ create, wrapHost });
    sets.push(messages);
    if (create) makeTree(path.join(source, 'deep', 'new'), [few('y'), few('z')]);
  }
  return sets;
}

/** Returns the packs and rows of a copy of a store that got these messages. */
async function storeOf(
  t: ExecutionContext,
  { empty, sets }: { readonly empty: string; readonly sets: readonly Message[][] },
  placeRows: (real: NativeCalls['placeRows']) => NativeCalls['placeRows'],
): Promise<unknown> {
  const { native } = nodeSystem();
  const system = inlineSystem({
    clock: new ManualClock(1_700_000_000_000),
    native: { ...native, placeRows: placeRows(native.placeRows) },
  });
  const store = path.join(scratchInMemory(t), 'store');
  fs.cpSync(empty, store, { recursive: true });
  const directory = openClientDirectory(system, { store, client: 'me' });
  const host = new InlineStorageHost(system);
  for (const messages of sets) {
    const client = await StorageClient.open(host, directory, 'backup', SMALL_STORE);
    client.replay(messages);
    await client.handle.end();
    t.deepEqual(client.failures, []);
  }
  await host.close();
  const packs = path.join(directory.path, 'packs');
  const files = fs.readdirSync(packs).toSorted();
  using database = system.openDatabase(directory.catalogPath, { readonly: true });
  return {
    packs: files.map((name) => [name, fs.readFileSync(path.join(packs, name)).toString('base64')]),
    tables: TABLES.map((table) => database.prepare(`SELECT * FROM ${table}`).all()),
  };
}

test('a store does not depend on how many rows a statement writes', async (t) => {
  const sets = await recorded(t);
  const empty = path.join(scratchInMemory(t), 'empty'); // a client has a random identity
  await createClientDirectory(nodeSystem(), { store: empty, client: 'me' });
  let [placed, refused] = [0, 0];
  const whole = await storeOf(t, { empty, sets }, (real) => (...values) => {
    const places = real(...values);
    if (places === undefined) refused += 1;
    else placed += 1;
    return places;
  });
  t.true(placed > 5, `${placed} parcels`);
  t.is(refused, 0);
  t.deepEqual(await storeOf(t, { empty, sets }, () => () => undefined), whole);
});

/** Returns a parcel in which the last file of the first directory has a content that another parcel brings later. */
function withWaitingRow(message: Message): Message {
  const { head, attachment } = decodeMessage('parcel', message.bytes);
  const rows = new RowReader(Buffer.from(head.rows));
  let last: number | undefined;
  for (let at = 0; at < (head.lengths[0] ?? 0); at += rows.rowBytes(at)) {
    if (rows.hasDigest(at)) last = at;
  }
  if (last === undefined || head.slots.length < 2) return message;
  rows.digest(last)[0]! ^= 1;
  const encoded = encodeMessage('parcel', { ...head, rows: rows.rows }, attachment);
  return { name: message.name, bytes: Buffer.concat([encoded.head, attachment]) };
}

test('a quota that ends within a parcel is reported, and what was stored before it is kept', async (t) => {
  const few = (name: string) =>
    dir(
      name,
      [1, 2, 3, 4, 5].map((n) => file(`${n}`, text(`${name} ${n}`, 40))),
    );
  const messages: Message[] = [];
  const wrapHost = tapped(() => ({
    message: (name, bytes) => void messages.push({ name, bytes: Buffer.from(bytes) }),
  }));
  const { backup } = inlineLab(
    t,
    Array.from({ length: 60 }, (_none, at) => few(`d${at}`)),
  );
  await backup({ wrapHost });
  const changed = messages.map((one) => (one.name === 'parcel' ? withWaitingRow(one) : one));
  t.notDeepEqual(changed, messages);
  const codes = new Set<string>();
  for (let quotaBytes = 66_000; quotaBytes < 160_000; quotaBytes += 3000) {
    const store = path.join(scratchInMemory(t), 'store');
    await createClientDirectory(nodeSystem(), { store, client: 'me' });
    const system = inlineSystem();
    const directory = openClientDirectory(system, { store, client: 'me' });
    const host = new InlineStorageHost(system);
    const space = {
      account: 'me',
      quotaBytes,
      perFileBytes: 500,
      perDirectoryBytes: 1000,
      used: sharedCount(),
      added: sharedCount(),
    };
    const client = await StorageClient.open(host, directory, 'backup', { ...SMALL_STORE, space });
    client.replay(changed);
    await client.handle.end();
    await host.close();
    for (const { code } of client.failures) codes.add(code);
  }
  t.deepEqual([...codes], ['QUOTA_EXCEEDED']);
});
