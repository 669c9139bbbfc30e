// Pace: alone
// In a group it does not meet the refusal of too many questions.
/** Readers with invalid requests: the server refuses them, reveals nothing else, and continues to serve. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { decodeMessage } from '../../src/transport/index.js';
import { Peer } from '../helpers/hand-made-peer.js';
import { backup, backupsRunHere, Running } from '../helpers/commands.js';
import { makeScratch, removeScratch } from '../helpers/scratch.js';
import { file, makeTree, noise, text } from '../helpers/tree.js';
import { pause } from '../helpers/until.js';

backupsRunHere();

const home = makeScratch();
const store = path.join(home, 'store');
const source = path.join(home, 'tree');
const socketPath = path.join(home, 'socket');
let server: Running;

test.before(async () => {
  makeTree(source, [file('a', text(1, 5000)), file('b', noise(2, 20 << 20))]);
  await backup(['-D', store, '-C', 'me', '--local', '--create', source]);
  // A unix socket, since a reader needs a password over a network.
  server = new Running('tardisd', ['-D', store, '--local', socketPath, '-v'], {
    timeoutMs: 600_000,
  });
  await server.until('listening server', () => server.stderr.includes('listening'));
});
test.after.always(() => {
  server.signalGroup('SIGKILL');
  removeScratch(home);
});

/** Connects as a reader of the client, and waits until the server lets it in. */
async function openReader(): Promise<Peer> {
  const reader = await Peer.greet(socketPath, 'me', { purpose: 'read' });
  await reader.hears('welcome');
  return reader;
}

/** Returns the bytes that the server has sent. */
const bytesOf = ({ heard }: Peer): number => heard.reduce((sum, { length }) => sum + length, 0);

async function isAlive(): Promise<void> {
  const reader = await openReader();
  reader.send('readSets', { question: 1 });
  await reader.hears('setsAre');
  reader.close();
}

/** Requests 2 MiB of the large file, the given number of times. */
function askForMore(reader: Peer, times: number): void {
  const place = path.join(store, 'me');
  const object = (fs.readdirSync(place, { recursive: true }) as string[]).find((name) =>
    /^([0-9a-f]{2}\/){2}[0-9a-f]{64}$/.test(name),
  )!;
  const bytes = 2 << 20;
  for (let question = 1; question <= times; question += 1) {
    const position = (question % 5) * bytes;
    reader.send('readObject', { question, object, position, bytes });
  }
}

/** Head of a signature by librsync, with blocks of 1 KiB and checksums of 16 bytes. */
const SIGNATURE_HEAD = Buffer.from('727301470000040000000010', 'hex');

const OBJECTS = [
  '../me/tardis.db',
  'tardis.db',
  'lock',
  'format.json',
  '/etc/passwd',
  'packs/../tardis.db',
  'packs/00000001.pack/../../tardis.db',
  'packs/00000001.pack\0',
  'packs/1.pack',
  'incoming/1',
  '',
  '.',
  'aa/bb/cc',
  `aa/bb/${'c'.repeat(64)}`,
  `ab/cd/${'ABCD'.repeat(16)}`,
  'packs/٣٣٣٣٣٣٣٣.pack',
];

test('names of objects that no store has are refused, and nothing is read', async (t) => {
  for (const object of OBJECTS) {
    const reader = await openReader();
    reader.send('readObject', { question: 1, object, position: 0, bytes: 100 });
    await reader.closed;
    t.deepEqual(reader.codes, ['PROTOCOL_VIOLATION'], JSON.stringify(object));
    t.false(reader.names.includes('objectIs'));
  }
  await isAlive();
});

const PACK = { question: 1, object: 'packs/00000001.pack', position: 0, bytes: 10 };
const BEGINNING = { directory: -1, name: Buffer.alloc(0) };
const CHANGES = { question: 1, before: 0, set: 1, after: BEGINNING, limit: 10 };

const many = Array<number>(5000).fill(1);
const PAGE = { question: 1, set: 1, directory: 1, after: Buffer.alloc(0), limit: 10 };

const WRONG: readonly (readonly [what: string, act: (reader: Peer) => void])[] = [
  [
    'a message of a backup',
    (reader) =>
      reader.send('done', { slots: [1], settled: Buffer.from([1]), seals: Buffer.alloc(0) }),
  ],
  ['too many bytes', (reader) => reader.send('readObject', { ...PACK, bytes: 1 << 30 })],
  ['too many contents', (reader) => reader.send('readPlaces', { question: 1, contents: many })],
  [
    'a prefix that is too short',
    (reader) => reader.send('readDigests', { question: 1, prefix: Buffer.alloc(4), limit: 5 }),
  ],
  [
    'a page of nothing',
    (reader) => reader.send('readListing', { ...PAGE, limit: 0, withDigests: true }),
  ],
  [
    'changes of a set against itself',
    (reader) => reader.send('readChanges', { ...CHANGES, before: 1, set: 1 }),
  ],
  [
    'a page of too many changes',
    (reader) => reader.send('readChanges', { ...CHANGES, limit: 5000 }),
  ],
  [
    'the paths of too many directories',
    (reader) => reader.send('readDirectoryPaths', { question: 1, set: 1, directories: many }),
  ],
  [
    'more signatures than may be open',
    (reader) => {
      for (let signature = 1; signature <= 5; signature += 1) {
        const head = { question: signature, signature, basisBytes: 5 << 20, isLast: false };
        reader.send('readerSignature', head, SIGNATURE_HEAD);
      }
    },
  ],
  [
    'a delta on nothing',
    (reader) => {
      const head = { question: 1, signature: 9, digest: Buffer.alloc(32), first: true };
      reader.send('readDelta', head);
    },
  ],
  [
    'more questions than may wait',
    (reader) => {
      askForMore(reader, 10); // more than the credit
      for (let question = 1; question <= 5000; question += 1) {
        reader.send('readSets', { question });
      }
    },
  ],
];

test('questions that cannot be are refused', async (t) => {
  for (const [what, act] of WRONG) {
    const reader = await openReader();
    act(reader);
    await reader.closed;
    t.deepEqual(reader.codes, ['PROTOCOL_VIOLATION'], what);
  }
  await isAlive();
});

test('an account without the right to it changes no setting', async (t) => {
  const reader = await openReader();
  reader.send('changeSetting', { question: 1, key: 'SaveFull', value: 'yes' });
  await reader.closed;
  t.deepEqual(reader.codes, ['NOT_PERMITTED']);
  const next = await openReader();
  next.send('readSettings', { question: 2 });
  next.send('readChanges', { ...CHANGES, set: 99, after: { ...BEGINNING, directory: 2 ** 52 } });
  next.send('readDirectoryPaths', { question: 3, set: 99, directories: [1, 12_345] });
  next.send('readConfiguration', { question: 4, set: 99 });
  await next.until('four answers', () => next.heard.length >= 5);
  const [, settings, changes, paths, configuration] = next.heard;
  t.deepEqual(decodeMessage('settingsAre', settings!).head.settings, []);
  t.like(decodeMessage('changesAre', changes!).head, { numbers: [], next: undefined });
  const nothing = Buffer.alloc(0);
  t.deepEqual(decodeMessage('directoryPathsAre', paths!).head.paths, [nothing, nothing]);
  t.is(decodeMessage('configurationIs', configuration!).head.config, undefined);
  next.close();
});

test('questions about what is not there are answered', async (t) => {
  const reader = await openReader();
  const nowhere = { ...PAGE, question: 7, set: 99, directory: 12_345 };
  reader.send('readListing', { ...nowhere, withDigests: false });
  reader.send('readEntry', { question: 8, set: 1, path: Buffer.from('/../../etc/passwd') });
  reader.send('readPlaces', { question: 9, contents: [999_999] });
  reader.send('readObject', { ...PACK, question: 10, object: 'packs/00000099.pack' });
  await reader.until('four answers', () => reader.heard.length >= 5);
  const [, listing, entry, places, object] = reader.heard;
  t.is(decodeMessage('entriesAre', listing!).head.question, 7);
  t.is(decodeMessage('entriesAre', entry!).head.rows.length, 0);
  t.deepEqual(decodeMessage('placesAre', places!).head.places, [-1]);
  t.false(decodeMessage('objectIs', object!).head.exists);
  reader.close();
});

test('a reader that does not acknowledge answers gets no more than the credit', async (t) => {
  const reader = await openReader();
  askForMore(reader, 40);
  await reader.until('16 MiB', () => bytesOf(reader) > 16 << 20);
  await pause(500); // time for what exceeds the credit: no event marks that nothing more comes
  const before = bytesOf(reader);
  t.true(before < 20 << 20, `${before} bytes came`);
  reader.send('taken', { bytes: 4 << 20 });
  await reader.until('more', () => bytesOf(reader) > before + (2 << 20));
  reader.close();
});

test('signatures that are none, or of something else, fail alone', async (t) => {
  const reader = await openReader();
  const wrong: readonly Buffer[] = [
    noise('signature', 5000),
    Buffer.from('7273014700000000ffffffff', 'hex'),
    Buffer.from('72730147ffffffff00000010', 'hex'),
    Buffer.concat([SIGNATURE_HEAD, noise('sums', 20 * 7)]),
    Buffer.alloc(0),
  ];
  for (const [index, bytes] of wrong.entries()) {
    const question = 2 * index + 1;
    const head = { question, signature: index, basisBytes: 5 << 20, isLast: true };
    reader.send('readerSignature', head, bytes);
    reader.send('dropSignature', { question: question + 1, signature: index });
  }
  reader.send('readSets', { question: 99 });
  await reader.hears('setsAre');
  t.deepEqual(
    reader.names.slice(1, -1),
    wrong.flatMap(() => ['questionFailed', 'signatureTaken']),
  );
  reader.close();
});
