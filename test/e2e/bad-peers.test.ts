// Pace: slow
/**
 * Peers that break the rules: each gets an error code and is disconnected, no finished set is lost, and the
 * next peer is served.
 */
import net from 'node:net';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type Entry, EntryType } from '../../src/model/index.js';
import { encodeMessage, ENVELOPE_BYTES, type Head } from '../../src/transport/index.js';
import { configWith } from '../helpers/client-configs.js';
import { exited } from '../helpers/codes.js';
import { helloBytes } from '../helpers/greetings.js';
import { Peer, PLAIN_SET } from '../helpers/hand-made-peer.js';
import { restoredBy } from '../helpers/lab.js';
import { rowOf } from '../helpers/rows.js';
import { backup, backupsRunHere, runWhenFree, Server, poolsStayAway } from '../helpers/commands.js';
import { withHistory } from '../helpers/inline.js';
import { makeScratch, removeScratch } from '../helpers/scratch.js';
import { file, makeTree, noise, text } from '../helpers/tree.js';
import { pause, until } from '../helpers/until.js';

backupsRunHere();
poolsStayAway();

const home = makeScratch();
const store = path.join(home, 'store');
const source = path.join(home, 'tree');
let server: Server;

test.before(async () => {
  makeTree(source, [file('a', text(1, 5000)), file('b', noise(2, 2 << 20))]);
  await backup(['-D', store, '-C', 'good', '--local', '--create', source]);
  server = await Server.start(store);
});
test.after.always(async () => {
  await server.kill();
  removeScratch(home);
});

const connect = (): Promise<Peer> => Peer.connect(server.port);
const login = (client: string, create = true): Promise<Peer> =>
  Peer.login(server.port, client, { create });

/** Checks that the server still serves other peers. */
async function isAlive(t: ExecutionContext): Promise<void> {
  const peer = await connect();
  peer.raw(hello({ client: 'nobody here', create: false }));
  await peer.closed;
  t.deepEqual(peer.codes, ['CLIENT_NAME_INVALID']);
}

async function isCutOff(t: ExecutionContext, peer: Peer, codes: readonly string[]): Promise<void> {
  await peer.closed;
  t.is(peer.codes.length, 1);
  t.true(codes.includes(peer.codes[0]!), `${peer.codes[0]!} is not in ${codes.join()}`);
  await isAlive(t);
}

function hello(changes: Partial<Head<'hello'>> = {}): Buffer {
  return helloBytes('x', { create: true, ...changes });
}

/** Returns an envelope with any bytes as its body; `claimed` is the length that it declares. */
function envelope(number: number, body: Buffer, flags = 0, claimed = body.length): Buffer {
  const head = Buffer.alloc(ENVELOPE_BYTES);
  head[0] = number;
  head[1] = flags;
  head.writeUInt32LE(claimed, 4);
  return Buffer.concat([head, body]);
}

const NOTHING = Buffer.alloc(0);
/** The end of a set without a seal. */
const CLOSING = {
  runs: [] as string[],
  stats: {},
  seal: NOTHING,
  opened: NOTHING,
  purge: false,
  waits: false,
};

const VIOLATION = ['PROTOCOL_VIOLATION'];
const BEFORE_LOGIN: readonly [what: string, bytes: () => Buffer | string, codes: string[]][] = [
  ['a newer protocol', () => hello({ protocol: 99 }), ['PROTOCOL_VERSION']],
  ['an older protocol', () => hello({ protocol: 0 }), ['PROTOCOL_VERSION']],
  ['a text frame', () => 'hello', VIOLATION],
  ['an empty frame', () => Buffer.alloc(0), VIOLATION],
  ['an unknown number', () => envelope(200, Buffer.from([0x80])), VIOLATION],
  ['a message of the other direction', () => envelope(64, Buffer.from([0x80])), VIOLATION],
  ['a greeting cut short', () => hello().subarray(0, -3), VIOLATION],
  ['a greeting with a tail', () => Buffer.concat([hello(), Buffer.from('tail')]), VIOLATION],
  ['a length that lies', () => envelope(1, Buffer.from([0x80]), 0, 0xffff_ffff), VIOLATION],
  ['a head that is no map', () => envelope(1, Buffer.from([0xc0])), VIOLATION],
  ['a head that is no MessagePack', () => envelope(1, Buffer.from([0xc1, 0xc1])), VIOLATION],
  ['missing fields', () => envelope(1, Buffer.from([0x80])), VIOLATION],
  [
    'a compressed head that claims 4 GiB',
    () => envelope(1, Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0]), 1),
    VIOLATION,
  ],
  [
    'a greeting that is too large',
    () => hello({ software: 'x'.repeat(5000) }),
    ['MESSAGE_TOO_LARGE'],
  ],
  [
    'a backup before the greeting',
    () => encodeMessage('closeSet', CLOSING).head,
    ['NOT_PERMITTED'],
  ],
  ['a name that leads elsewhere', () => hello({ client: '../x' }), ['CLIENT_NAME_INVALID']],
  [
    'a proof that nobody asked for',
    () =>
      encodeMessage('loginProof', { clientPublic: Buffer.alloc(384, 1), proof: Buffer.alloc(32) })
        .head,
    VIOLATION,
  ],
  ['keys that are none', () => hello({ client: 'k', keys: Buffer.alloc(50) }), ['KEYS_DAMAGED']],
];

for (const [what, bytes, codes] of BEFORE_LOGIN) {
  test(`${what}: ${codes.join()}`, async (t) => {
    const peer = await connect();
    peer.raw(bytes());
    await isCutOff(t, peer, codes);
  });
}

test('a client that does not exist is prompted for its password', async (t) => {
  const peer = await connect();
  peer.raw(hello({ client: 'y', create: false }));
  await peer.hears('loginChallenge');
  peer.send('loginProof', { clientPublic: Buffer.alloc(384, 2), proof: Buffer.alloc(32) });
  await isCutOff(t, peer, ['LOGIN_FAILED']);
});

test('a second proof is none', async (t) => {
  const peer = await connect();
  peer.raw(hello({ client: 'z', create: false }));
  await peer.hears('loginChallenge');
  const proof = { clientPublic: Buffer.alloc(384, 2), proof: Buffer.alloc(32) };
  peer.send('loginProof', proof);
  peer.send('loginProof', proof);
  await peer.closed;
  t.true(['LOGIN_FAILED', 'PROTOCOL_VIOLATION'].includes(peer.codes[0] ?? ''), peer.codes.join());
  await isAlive(t);
});

test('a frame that is too large for any message', async (t) => {
  const peer = await connect();
  peer.raw(Buffer.alloc(18 << 20, 1));
  await isCutOff(t, peer, ['MESSAGE_TOO_LARGE']);
  const admitted = await login('wide');
  admitted.raw(Buffer.alloc(18 << 20, 1));
  await admitted.closed;
  t.is(admitted.closeCode, 1009); // WebSocket's own "message too big"; no error code can follow it
  await isAlive(t);
});

test('random bytes: cut off each time, whatever they look like', async (t) => {
  for (let round = 0; round < 60; round += 1) {
    const peer = await connect();
    const bytes = noise(`garbage ${round}`, 1 + ((round * 37) % 3000));
    if (round % 2 === 0) bytes[0] = [1, 2, 3, 16, 18, 23][round % 6]!;
    peer.raw(bytes);
    await peer.closed;
    t.regex(peer.codes[0] ?? '', /^(PROTOCOL_VIOLATION|NOT_PERMITTED|MESSAGE_TOO_LARGE)$/);
  }
  await isAlive(t);
});

test('what is no WebSocket at all', async (t) => {
  for (const bytes of [
    noise('tcp', 5000),
    Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
    Buffer.from(`GET /${'x'.repeat(20_000)} HTTP/1.1\r\n`),
  ]) {
    const socket = net.connect(server.port, '127.0.0.1');
    await new Promise<void>((resolve) => {
      socket.on('error', () => undefined).on('close', () => resolve());
      socket.on('data', () => socket.end());
      socket.write(bytes);
    });
  }
  await isAlive(t);
});

const row = (changes: Partial<Entry> = {}): Buffer =>
  rowOf('name', { type: EntryType.directory, ...changes });
const aFile = { type: EntryType.file, sizeBytes: 5, inode: 2n };
const digest = Buffer.alloc(32, 7);

const CONTENT = { stream: 1, isPart: false, codec: 0, fileSizeBytes: 1, cipher: NOTHING };
/** A request for a basis by digests that the server does not have. */
const SOUGHT = { question: 1, slot: 0, name: Buffer.from('large'), digests: Buffer.alloc(128, 7) };

function openSet(peer: Peer, root = '/somewhere', more: Partial<Head<'openSet'>> = {}): void {
  peer.send('openSet', { ...PLAIN_SET, paths: [Buffer.from(root)], ...more });
}

/** Declares a directory in a slot, as the root of the set unless it has another parent. */
function head(peer: Peer, wrong: Partial<Head<'heads'>> = {}): void {
  const hashes = Buffer.alloc(32);
  const right = { isQuestion: true, slots: [0], parents: [-1], rows: row(), hashes };
  peer.send('heads', { ...right, ...wrong });
}

function openRoot(peer: Peer): void {
  openSet(peer);
  head(peer);
}

function openStream(peer: Peer): void {
  openSet(peer);
  peer.send('streamOpen', CONTENT);
}

function openSignature(peer: Peer): void {
  openSet(peer);
  peer.send('signatureOpen', { stream: 1, cipher: NOTHING });
}

function parcel(peer: Peer, rows: Buffer, records: number[] = [], attachment?: Buffer): void {
  peer.send('parcel', { slots: [0], lengths: [rows.length], rows, records }, attachment);
}

function list(peer: Peer, ...names: string[]): void {
  const rows = Buffer.concat(names.map((name) => row({ name: Buffer.from(name) })));
  peer.send('listing', { slot: 0, last: true, rows });
}

/** Ends a stream whose content or signature is not as it should be. */
function endStream(peer: Peer): void {
  peer.send('streamEnd', { stream: 1, digest, sizeBytes: 0, seal: NOTHING });
}

function seek(peer: Peer, wrong: Partial<Head<'seekBasis'>> = {}): void {
  peer.send('seekBasis', { ...SOUGHT, ...wrong });
}

function owners(peer: Peer, wrong: Partial<Head<'owners'>>): void {
  peer.send('owners', { groups: Buffer.alloc(1), ids: [1], names: [Buffer.from('a')], ...wrong });
}

/** Sends a value in place of a configuration. */
function report(peer: Peer, config: unknown): void {
  peer.send('configuration', { config } as Head<'configuration'>);
}

function configure(peer: Peer, wrong: object = {}): void {
  report(peer, { ...configWith('x'), ...wrong });
}

function setTo(peer: Peer, ...settings: readonly object[]): void {
  configure(peer, { settings });
}

type Offence = readonly [what: string, act: (peer: Peer) => void];

/** Returns offences that a peer commits after it has begun in some way. */
function after(begin: (peer: Peer) => void, offences: readonly Offence[]): readonly Offence[] {
  return offences.map(([what, act]) => [what, (peer) => [begin(peer), act(peer)]]);
}

const MANY_SETTINGS = Array.from({ length: 2000 }, () => ({ name: 'a', value: '' }));
const MANY_STREAMS = Array.from({ length: 200 }, (_, at) => ({ ...CONTENT, stream: at + 1 }));

const AFTER_LOGIN: readonly Offence[] = [
  ['a second greeting', (peer) => peer.raw(hello())],
  ['an end before the beginning', (peer) => peer.send('closeSet', CLOSING)],
  ['what it is set to before its set', (peer) => configure(peer)],
  ['a set without roots', (peer) => openSet(peer, '/x', { paths: [], rows: NOTHING })],
  ['a root without a device', (peer) => openSet(peer, '/somewhere', { devices: [] })],
  ['more roots that are empty than roots', (peer) => openSet(peer, '/x', { empties: digest })],
  ['a set name of two lines', (peer) => openSet(peer, '/x', { name: 'a\nb' })],
  ['a set name that is a number', (peer) => openSet(peer, '/x', { name: '12' })],
  ['a set name without end', (peer) => openSet(peer, '/x', { name: 'x'.repeat(1000) })],
  ['a root that is no path', (peer) => openSet(peer, 'relative')],
  ['a root with a NUL', (peer) => openSet(peer, '/some\0where')],
  ...after(openSet, [
    ['two sets', (peer) => openSet(peer)],
    [
      'what it is set to, twice',
      (peer) => [configure(peer), setTo(peer, { name: 'a', value: '1' })],
    ],
    ['what it is set to as a text', (peer) => report(peer, '{}')],
    ['what it is set to in no form', (peer) => report(peer, { form: 'other' })],
    ['a setting that is no pair', (peer) => configure(peer, { settings: ['a'] })],
    ['a setting without a name', (peer) => setTo(peer, { name: '', value: '' })],
    ['a setting whose name is an attack', (peer) => setTo(peer, { name: '__proto__', value: '' })],
    ['a setting that is too long', (peer) => setTo(peer, { name: 'a', value: 'ä'.repeat(4000) })],
    ['more settings than there can be', (peer) => setTo(peer, ...MANY_SETTINGS)],
    [
      'sealed settings that are too large',
      (peer) => report(peer, { form: 'sealed', bytes: Buffer.alloc(41 << 10) }),
    ],
    ['heads that do not add up', (peer) => head(peer, { slots: [0, 1], hashes: NOTHING })],
    ['a root there is not', (peer) => head(peer, { parents: [-2] })],
    [
      'a listing of no slot',
      (peer) => peer.send('listing', { slot: 7, last: true, rows: NOTHING }),
    ],
    [
      'half a digest',
      (peer) => peer.send('digests', { question: 1, digests: digest.subarray(5), promise: true }),
    ],
    ['a chunk of no stream', (peer) => peer.send('streamChunk', { stream: 3 }, noise('c', 99))],
    [
      'an unknown encryption',
      (peer) => peer.send('streamOpen', { ...CONTENT, cipher: Buffer.alloc(21, 9) }),
    ],
    [
      'an encryption that is cut off',
      (peer) => peer.send('streamOpen', { ...CONTENT, cipher: Buffer.alloc(20, 2) }),
    ],
    [
      'an encrypted content that ends without a seal',
      (peer) => {
        peer.send('streamOpen', { ...CONTENT, cipher: Buffer.alloc(21, 2) });
        endStream(peer);
      },
    ],
    [
      'a seal of a set that is too short',
      (peer) =>
        peer.send('closeSet', { ...CLOSING, seal: Buffer.alloc(39), opened: Buffer.alloc(39) }),
    ],
    [
      'seals that do not add up',
      (peer) => peer.send('moved', { slots: [0], seals: Buffer.alloc(47) }),
    ],
    ['an unknown codec', (peer) => peer.send('streamOpen', { ...CONTENT, codec: 9 })],
    [
      'more streams than there may be',
      (peer) => MANY_STREAMS.forEach((stream) => peer.send('streamOpen', stream)),
    ],
    ['a delta on what was not offered', (peer) => peer.send('deltaOpen', { ...CONTENT, basis: 1 })],
    ['an unknown wish', (peer) => peer.send('basisWish', { basis: 1, wish: 3 })],
    [
      'parts that are not there',
      (peer) => {
        const parts = Buffer.concat([digest, Buffer.alloc(8)]);
        peer.send('assembly', { digest, sizeBytes: 5, parts, isKeyed: false });
      },
    ],
    [
      'a note on no slot',
      (peer) =>
        peer.send('notes', { slots: [9], names: [digest], whats: ['unreadable'], reasons: ['x'] }),
    ],
    ['owners: more numbers than names', (peer) => owners(peer, { ids: [1, 2] })],
    ['owners: a number above 32 bits', (peer) => owners(peer, { ids: [2 ** 32] })],
    [
      'owners: a name that is too long',
      (peer) => owners(peer, { names: [Buffer.alloc(257, 0x61)] }),
    ],
    ['owners: a name with NUL', (peer) => owners(peer, { names: [Buffer.from('a\0')] })],
  ]),
  ...after(openRoot, [
    ['a slot opened twice', (peer) => head(peer)],
    ['a listing out of order', (peer) => list(peer, 'b', 'a')],
    ...['..', '.', 'a/b', 'a\0b', ''].map(
      (name): Offence => [`an entry named ${JSON.stringify(name)}`, (peer) => list(peer, name)],
    ),
    ['rows cut short', (peer) => parcel(peer, row(aFile).subarray(0, 40))],
    ['rows that are noise', (peer) => parcel(peer, noise('rows', 500))],
    ['a file without its digest', (peer) => parcel(peer, row(aFile))],
    ['a record that is noise', (peer) => parcel(peer, NOTHING, [200], noise('r', 200))],
    ['bytes of no record', (peer) => parcel(peer, NOTHING, [], noise('r', 200))],
    ['a basis that is sought for no slot', (peer) => seek(peer, { slot: 1 })],
    [
      'a basis that is sought by half a digest',
      (peer) => seek(peer, { digests: Buffer.alloc(48) }),
    ],
    [
      'a basis that is sought by too many digests',
      (peer) => seek(peer, { digests: Buffer.alloc(160) }),
    ],
    [
      'a basis that is sought in a directory that is done',
      (peer) => {
        peer.send('done', { slots: [0], settled: Buffer.alloc(1), seals: NOTHING });
        seek(peer);
      },
    ],
    [
      'an end with contents missing',
      (peer) => [parcel(peer, row({ ...aFile, digest })), peer.send('closeSet', CLOSING)],
    ],
  ]),
  ...after(openStream, [
    ['a chunk that is noise', (peer) => peer.send('streamChunk', { stream: 1 }, noise('c', 99))],
    ['an end of a set with an open stream', (peer) => peer.send('closeSet', CLOSING)],
  ]),
  ...after(openSignature, [
    ['a signature that ends as a content', endStream],
    [
      'a signature that is too long',
      (peer) => {
        const end = { stream: 1, digest, sizeBytes: 5, seal: NOTHING };
        peer.send('signatureEnd', { ...end, rawBytes: 2 ** 40 });
      },
    ],
  ]),
];

for (const [index, [what, act]] of AFTER_LOGIN.entries()) {
  test(`${what}: PROTOCOL_VIOLATION`, async (t) => {
    const client = `bad-${index}`;
    const peer = await login(client);
    act(peer);
    await isCutOff(t, peer, VIOLATION);
    // The set of the broken session is not listed as complete, and the client can continue.
    const sets = await withHistory({ store, client }, (history) => history.sets());
    t.true(sets.every(({ state }) => state === 'unfinished'));
    if (index % 6 !== 0) return; // the rest is slow and the same for all cases
    const place = ['-D', store, '-C', client];
    exited(t, 0, await runWhenFree('tardis', ['-C', client, ...server.clientArgs, source]));
    t.deepEqual(await restoredBy(place, source, path.join(home, `out ${index}`)), []);
  });
}

test('only a peer that promised to send what is wanted is waited for', async (t) => {
  const peer = await login('promises');
  openSet(peer);
  const WANT = 0;
  const COMING = 2;
  for (const [question, promise] of [false, false, true, false].entries()) {
    peer.send('digests', { question, digests: digest, promise });
  }
  await until(() => peer.verdicts.length >= 4);
  t.deepEqual(peer.verdicts, [[WANT], [WANT], [WANT], [COMING]]);
  peer.cut();
  await peer.closed;
});

test('digests that the server does not have are no offence, and no basis', async (t) => {
  const peer = await login('seeks');
  openRoot(peer);
  seek(peer);
  seek(peer, { question: 2, digests: NOTHING });
  await peer.hears('sought');
  peer.send('digests', { question: 3, digests: digest, promise: false });
  await peer.hears('verdicts');
  t.false(peer.names.includes('basis'));
  t.deepEqual(peer.codes, []);
  peer.cut();
  await peer.closed;
});

/** Logs in. Retries, since the server may notice the end of the previous connection a moment late. */
async function loginSoon(client: string, create: boolean): Promise<Peer> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await login(client, create);
    } catch (error) {
      if (tries > 100 || !String(error).includes('CLIENT_BUSY')) throw error;
      await pause(20);
    }
  }
}

test('sessions that are cut off in the middle leave their client free', async (t) => {
  for (let round = 0; round < 10; round += 1) {
    const peer = await loginSoon('cut', round === 0);
    openRoot(peer);
    await peer.hears('headsAnswer');
    peer.cut();
    await peer.closed;
  }
  const args = [...server.clientArgs, '-C', 'cut', source];
  exited(t, 0, await runWhenFree('tardis', args));
});

test('what others had finished is untouched', async (t) => {
  t.deepEqual(await restoredBy(['-D', store, '-C', 'good'], source, path.join(home, 'good')), []);
});
