// Pace: alone
// In a group it does not meet the refusal of too many questions.
/** Readers with invalid requests: the server refuses them, reveals nothing else, and continues to serve. */
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import test from 'ava';
import { WebSocket } from 'ws';
import {
  decodeMessage,
  encodeMessage,
  type Head,
  type MessageName,
  peekMessage,
} from '../../src/transport/index.js';
import { helloOf } from '../helpers/greetings.js';
import { backup, backupsRunHere, Running } from '../helpers/commands.js';
import { makeScratch, removeScratch } from '../helpers/scratch.js';
import { file, makeTree, noise, text } from '../helpers/tree.js';

backupsRunHere();

const DEADLINE_MS = 60_000;
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

interface Heard {
  readonly name: MessageName;
  readonly bytes: Buffer;
}

class Reader {
  readonly heard: Heard[] = [];
  bytes = 0;
  readonly closed: Promise<void>;
  private readonly socket: WebSocket;
  private wake: () => void = () => undefined;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data: Buffer) => {
      this.heard.push({ name: peekMessage(data, 'to-client'), bytes: data });
      this.bytes += data.length;
      this.wake();
    });
    socket.on('error', () => undefined); // `closed` shows the end
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
  }

  static async open(): Promise<Reader> {
    const socket = new WebSocket('ws://localhost/', {
      createConnection: () => net.connect(socketPath),
    });
    const reader = new Reader(socket);
    await new Promise((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
    });
    reader.send('hello', helloOf('me', { purpose: 'read' }));
    await reader.hears(() => reader.heard.some(({ name }) => name === 'welcome'));
    return reader;
  }

  send<N extends MessageName>(name: N, head: Head<N>, attachment?: Buffer): void {
    const message = encodeMessage(name, head, attachment);
    this.socket.send(Buffer.concat([message.head, message.attachment ?? Buffer.alloc(0)]));
  }

  async hears(is: () => boolean): Promise<void> {
    const untilMs = Date.now() + DEADLINE_MS;
    while (!is()) {
      if (Date.now() > untilMs) throw new Error('the server said nothing');
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1000);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  errors(): string[] {
    return this.heard
      .filter(({ name }) => name === 'error')
      .map(({ bytes }) => decodeMessage('error', bytes).head.code);
  }

  close(): void {
    this.socket.close();
  }
}

async function isAlive(): Promise<void> {
  const reader = await Reader.open();
  reader.send('readSets', { question: 1 });
  await reader.hears(() => reader.heard.some(({ name }) => name === 'setsAre'));
  reader.close();
}

/** Requests 2 MiB of the large file, the given number of times. */
function askForMore(reader: Reader, times: number): void {
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
    const reader = await Reader.open();
    reader.send('readObject', { question: 1, object, position: 0, bytes: 100 });
    await reader.closed;
    t.deepEqual(reader.errors(), ['PROTOCOL_VIOLATION'], JSON.stringify(object));
    t.false(reader.heard.some(({ name }) => name === 'objectIs'));
  }
  await isAlive();
});

const CHANGES = { question: 1, before: 0, set: 1, directory: -1, name: Buffer.alloc(0), limit: 10 };

test('questions that cannot be are refused', async (t) => {
  const wrong: readonly [string, (reader: Reader) => void][] = [
    [
      'a message of a backup',
      (reader) =>
        reader.send('done', { slots: [1], settled: Buffer.from([1]), seals: Buffer.alloc(0) }),
    ],
    [
      'too many bytes',
      (reader) =>
        reader.send('readObject', {
          question: 1,
          object: 'packs/00000001.pack',
          position: 0,
          bytes: 1 << 30,
        }),
    ],
    [
      'too many contents',
      (reader) => reader.send('readPlaces', { question: 1, contents: Array(5000).fill(1) }),
    ],
    [
      'a prefix that is too short',
      (reader) => reader.send('readDigests', { question: 1, prefix: Buffer.alloc(4), limit: 5 }),
    ],
    [
      'a page of nothing',
      (reader) =>
        reader.send('readListing', {
          question: 1,
          set: 1,
          directory: 1,
          after: Buffer.alloc(0),
          limit: 0,
          withDigests: true,
          unlike: 0,
        }),
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
      (reader) =>
        reader.send('readDirectoryPaths', {
          question: 1,
          set: 1,
          directories: Array(5000).fill(1),
        }),
    ],
    [
      'more signatures than may be open',
      (reader) => {
        for (let signature = 1; signature <= 5; signature += 1) {
          const head = { question: signature, signature, basisBytes: 5 << 20, last: false };
          reader.send('readerSignature', head, SIGNATURE_HEAD);
        }
      },
    ],
    [
      'a delta on nothing',
      (reader) =>
        reader.send('readDelta', {
          question: 1,
          signature: 9,
          digest: Buffer.alloc(32),
          first: true,
        }),
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
  for (const [what, act] of wrong) {
    const reader = await Reader.open();
    act(reader);
    await reader.closed;
    t.deepEqual(reader.errors(), ['PROTOCOL_VIOLATION'], what);
  }
  await isAlive();
});

test('an account without the right to it changes no setting', async (t) => {
  const reader = await Reader.open();
  reader.send('changeSetting', { question: 1, key: 'SaveFull', value: 'yes', isSet: true });
  await reader.closed;
  t.deepEqual(reader.errors(), ['NOT_PERMITTED']);
  const next = await Reader.open();
  next.send('readSettings', { question: 2 });
  next.send('readChanges', { ...CHANGES, set: 99, directory: 2 ** 52 });
  next.send('readDirectoryPaths', { question: 3, set: 99, directories: [1, 12_345] });
  next.send('readConfiguration', { question: 4, set: 99 });
  await next.hears(() => next.heard.length >= 5);
  const [, settings, changes, paths, configuration] = next.heard;
  t.deepEqual(decodeMessage('settingsAre', settings!.bytes).head.keys, []);
  t.like(decodeMessage('changesAre', changes!.bytes).head, { numbers: [], more: false });
  const nothing = Buffer.alloc(0);
  t.deepEqual(decodeMessage('directoryPathsAre', paths!.bytes).head.paths, [nothing, nothing]);
  t.is(decodeMessage('configurationIs', configuration!.bytes).head.config, undefined);
  next.close();
});

test('questions about what is not there are answered', async (t) => {
  const reader = await Reader.open();
  const after = Buffer.alloc(0);
  reader.send('readListing', {
    question: 7,
    set: 99,
    directory: 12_345,
    after,
    limit: 10,
    withDigests: false,
    unlike: 0,
  });
  reader.send('readEntry', { question: 8, set: 1, path: Buffer.from('/../../etc/passwd') });
  reader.send('readPlaces', { question: 9, contents: [999_999] });
  reader.send('readObject', {
    question: 10,
    object: 'packs/00000099.pack',
    position: 0,
    bytes: 10,
  });
  await reader.hears(() => reader.heard.length >= 5);
  const [, listing, entry, places, object] = reader.heard;
  t.is(decodeMessage('entriesAre', listing!.bytes).head.question, 7);
  t.is(decodeMessage('entriesAre', entry!.bytes).head.rows.length, 0);
  t.deepEqual(decodeMessage('placesAre', places!.bytes).head.places, [-1]);
  t.false(decodeMessage('objectIs', object!.bytes).head.exists);
  reader.close();
});

test('a reader that does not acknowledge answers gets no more than the credit', async (t) => {
  const reader = await Reader.open();
  askForMore(reader, 40);
  await reader.hears(() => reader.bytes > 16 << 20);
  await new Promise((resolve) => setTimeout(resolve, 500));
  const before = reader.bytes;
  t.true(before < 20 << 20, `${before} bytes came`);
  reader.send('taken', { bytes: 4 << 20 });
  await reader.hears(() => reader.bytes > before + (2 << 20));
  reader.close();
});

test('signatures that are none, or of something else, fail alone', async (t) => {
  const reader = await Reader.open();
  const wrong: readonly Buffer[] = [
    noise('signature', 5000),
    Buffer.from('7273014700000000ffffffff', 'hex'),
    Buffer.from('72730147ffffffff00000010', 'hex'),
    Buffer.concat([SIGNATURE_HEAD, noise('sums', 20 * 7)]),
    Buffer.alloc(0),
  ];
  for (const [index, bytes] of wrong.entries()) {
    const question = 2 * index + 1;
    const head = { question, signature: index, basisBytes: 5 << 20, last: true };
    reader.send('readerSignature', head, bytes);
    reader.send('dropSignature', { question: question + 1, signature: index });
  }
  reader.send('readSets', { question: 99 });
  await reader.hears(() => reader.heard.some(({ name }) => name === 'setsAre'));
  const names = reader.heard.slice(1, -1).map(({ name }) => name);
  t.deepEqual(
    names,
    wrong.flatMap(() => ['questionFailed', 'signatureTaken']),
  );
  reader.close();
});
