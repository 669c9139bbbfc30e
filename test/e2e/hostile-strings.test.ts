// Pace: long
/**
 * Hostile strings, in each name and id that comes from outside: all of more than five hundred, or some of each kind if
 * each costs a session. Each is refused by an error of the table, or is a valid name and used unchanged. Nothing
 * outside of the client's directory, or of the target of a restore, is touched. TEST_SEED chooses among the strings.
 */
import fs from 'node:fs';
import path from 'node:path';
import { pino } from 'pino';
import test from 'ava';
import { WebSocket } from 'ws';
import { resolveSettings } from '../../src/config/index.js';
import { KeyFileText, newKeyRecord } from '../../src/crypto/index.js';
import { isErrorCode, TardisError } from '../../src/errors/index.js';
import { EntryType, type NoteKind, setNameFault } from '../../src/model/index.js';
import { Daemon, InlineStorageHost } from '../../src/server/index.js';
import { byteText } from '../../src/system/index.js';
import {
  createClientDirectory,
  isClientName,
  listClients,
  openClientDirectory,
} from '../../src/store/index.js';
import {
  decodeMessage,
  encodeMessage,
  type Head,
  type MessageName,
  peekMessage,
  Purpose,
  type PurposeName,
} from '../../src/transport/index.js';
import { helloOf } from '../helpers/greetings.js';
import { backupsRunHere, run, type Tool } from '../helpers/commands.js';
import { sandbox } from '../helpers/guarded.js';
import {
  CONTROL,
  hostileStrings,
  someStrings,
  strings,
  Tally,
  reportedCode,
  tried,
} from '../helpers/hostile-strings.js';
import { backupInline, inlineSystem, SMALL_STORE } from '../helpers/inline.js';
import { rowOf } from '../helpers/rows.js';
import { ownState, written } from '../helpers/scratch.js';
import { differences, file, look, makeTree } from '../helpers/tree.js';

backupsRunHere();

// The state that clients remember is not needed after the test.
ownState(test);

const system = inlineSystem();
/** Only every n-th string is tried as a purpose and an account, to save time. */
const PURPOSES_EVERY = 8;
/** Longer strings are always tried: the messages with them are too large. */
const LONGEST_PURPOSE = 4200;
const AT_ONCE = 8;

/** Makes a message with any bytes in a text field. They are put in after encoding, since a string cannot have them. */
function withBytes<N extends MessageName>(
  name: N,
  make: (text: string) => Head<N>,
  bytes: Buffer,
): Buffer {
  const stand = '\u0001'.repeat(bytes.length);
  const message = encodeMessage(name, make(stand)).head;
  if (bytes.length > 0) bytes.copy(message, message.lastIndexOf(stand, undefined, 'latin1'));
  return message;
}

test('names of clients in greetings', async (t) => {
  const guard = sandbox(t, ['store']);
  const daemon = await Daemon.start(
    system,
    new InlineStorageHost(system),
    {
      address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
      baseDir: guard.store,
      catalogFile: 'tardis.db',
      allowCreate: true,
      newHostsAtOnce: 1_000_000,
      onlyClient: undefined,
      requirePassword: false,
      loginTimeoutMs: 600_000, // logins are slow, since this thread does all the work
      creditBytes: 17 << 20,
      timeoutMs: 600_000,
      single: false,
      parkMs: 0,
      maxParked: 1,
      storageOptions: SMALL_STORE,
    },
    pino({ level: 'silent' }),
  );
  t.teardown(() => daemon.stop());
  const { address } = daemon;
  const port = address.kind === 'tcp' ? address.port : 0;
  const others = look(path.join(guard.store, 'other'));
  const answerTo = (greeting: Buffer): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
      let reported = 'nothing';
      socket.once('open', () => socket.send(greeting));
      socket.once('message', (data: Buffer) => {
        const name = peekMessage(data, 'to-client');
        if (name === 'error') {
          const { code, message } = decodeMessage(name, data).head;
          reported = CONTROL.test(message) ? 'control characters' : code;
        } else reported = name;
        socket.close();
      });
      socket.once('close', () => resolve(reported));
      socket.once('error', reject);
    });
  const head = helloOf('x', { create: true });
  const tally = new Tally();
  const greet = async (name: Buffer, index: number): Promise<void> => {
    const reported = await answerTo(withBytes('hello', (client) => ({ ...head, client }), name));
    const isGood = isClientName(name.toString());
    const codes = isGood
      ? ['welcome', 'CLIENT_EXISTS']
      : ['CLIENT_NAME_INVALID', 'MESSAGE_TOO_LARGE'];
    const shown = JSON.stringify(name.toString('latin1').slice(0, 80));
    t.true(codes.includes(reported), `${shown}: ${reported}`);
    tally.add(reported);
    const isLong = name.length > LONGEST_PURPOSE;
    if (isGood || (index % PURPOSES_EVERY !== 0 && !isLong)) return;
    const hello = { ...head, client: 'me' };
    const purpose = withBytes(
      'hello',
      (text) => ({ ...hello, purpose: text as PurposeName }),
      name,
    );
    tally.add(`purpose: ${await answerTo(purpose)}`);
    if (name.length === 0) return; // an empty name means the owner
    const account = withBytes('hello', (text) => ({ ...head, create: false, account: text }), name);
    tally.add(`account: ${await answerTo(account)}`);
  };
  const all = someStrings(t, guard);
  for (let from = 0; from < all.length; from += AT_ONCE) {
    await Promise.all(all.slice(from, from + AT_ONCE).map((name, at) => greet(name, from + at)));
  }
  t.true(tally.of('CLIENT_NAME_INVALID') > all.length / 2);
  t.deepEqual(tally.codes.filter((code) => code.startsWith('purpose')).sort(), [
    'purpose: MESSAGE_TOO_LARGE',
    'purpose: PROTOCOL_VIOLATION',
  ]);
  t.deepEqual(tally.codes.filter((code) => code.startsWith('account')).sort(), [
    'account: ACCOUNT_INVALID',
    'account: MESSAGE_TOO_LARGE',
  ]);
  // Only directories with valid client names were made, and the existing client is unchanged.
  const made = fs.readdirSync(guard.store).filter((name) => !isClientName(name));
  t.deepEqual(
    made.filter((name) => name !== '.login'),
    [],
  );
  t.deepEqual(differences(others, look(path.join(guard.store, 'other'))), []);
  t.deepEqual(guard.touched(), []);
  t.is(await answerTo(encodeMessage('hello', { ...head, client: 'last' }).head), 'welcome');
});

test('names of clients on this machine', async (t) => {
  const guard = sandbox(t, ['store']);
  const { store } = guard;
  await createClientDirectory(system, { store, client: 'me' });
  const tally = new Tally();
  for (const name of strings(t, guard)) {
    const client = name.toString();
    const code = await tried(t, name, () => openClientDirectory(system, { store, client }));
    tally.add(code);
    t.true(
      ['CLIENT_NAME_INVALID', 'NO_SUCH_CLIENT', 'FORMAT_DAMAGED', ''].includes(code),
      `${client}: ${code}`,
    );
    if (isClientName(client)) continue;
    t.is(
      await tried(t, name, () => createClientDirectory(system, { store, client })),
      'CLIENT_NAME_INVALID',
    );
  }
  t.true(tally.of('CLIENT_NAME_INVALID') > 400);
  t.deepEqual(listClients(system, store), ['me', 'other']);
  t.deepEqual(guard.touched(), []);
});

/** Some strings of each kind, since starting a process is expensive. */
const TYPED = [
  '../canary',
  '..',
  '-rf',
  '/etc/passwd',
  '\x1b]0;x\x07',
  'a\nb',
  '$(id)',
  '\xff\xfe',
];

for (const [tool, args] of [
  ['tardis', ['--local', '--create', '.']],
  ['lstardis', []],
  ['regenerate', ['-o', 'out', '/x']],
  ['sonic', ['create']],
  ['sonic', ['rebuild']],
  ['sonic', ['list']],
] as readonly [Tool, readonly string[]][]) {
  test(`names of clients that are typed: ${tool} ${args[0] ?? ''}`, async (t) => {
    const guard = sandbox(t, ['target', 'store']);
    for (const name of TYPED) {
      const words = tool === 'sonic' ? args : [];
      const more = tool === 'sonic' ? [] : args;
      const all = [...words, '-D', guard.store, `--client=${name}`, ...more];
      const { status, stderr } = await run(tool, all, { cwd: guard.target });
      t.is(status, 1, `${name}: ${stderr}`);
      t.regex(stderr, /\[CLIENT_NAME_INVALID\]/);
      t.notRegex(stderr, CONTROL, 'a terminal obeys nothing of it');
    }
    t.deepEqual(fs.readdirSync(guard.target), []);
    t.deepEqual(fs.readdirSync(guard.store), ['other']);
    t.deepEqual(guard.touched(), []);
  });
}

type StorageHandle = Awaited<ReturnType<InlineStorageHost['open']>>;

/** A storage session that is opened again after a message was refused. */
class Session {
  private handle: StorageHandle | undefined;
  private failure: TardisError | undefined;
  private waiting = 0;
  private wake: () => void = () => undefined;
  private readonly host = new InlineStorageHost(system);
  private readonly store: string;
  private readonly purpose: PurposeName;
  private readonly begin: readonly Buffer[];

  /** `begin`: messages that are sent first in each session. */
  constructor(store: string, purpose: PurposeName, begin: readonly Buffer[]) {
    this.store = store;
    this.purpose = purpose;
    this.begin = begin;
  }

  /** Sends a message. Returns the error of the session, or undefined. */
  async send(bytes: Buffer): Promise<TardisError | undefined> {
    if (this.handle === undefined) {
      await this.open();
      for (const first of this.begin) {
        const failure = await this.hand(first);
        if (failure !== undefined) throw failure;
      }
    }
    const failure = await this.hand(bytes);
    if (failure !== undefined) await this.abandon();
    return failure;
  }

  /** Abandons the session with all messages sent in it. */
  async abandon(): Promise<void> {
    const { handle } = this;
    this.handle = undefined;
    await handle?.abandon();
  }

  private async open(): Promise<void> {
    const directory = openClientDirectory(system, { store: this.store, client: 'me' });
    this.failure = undefined;
    this.waiting = 0;
    this.handle = await this.host.open(directory, this.purpose, SMALL_STORE, {
      answer: (answer, processedBytes) => {
        this.waiting -= processedBytes;
        const name = answer && peekMessage(answer, 'to-client');
        if (name === 'questionFailed' && answer !== undefined) {
          const { code, message } = decodeMessage('questionFailed', answer).head;
          this.failure = new TardisError(isErrorCode(code) ? code : 'INTERNAL', message);
        }
        this.wake();
      },
      closing: () => undefined,
      failed: (error) => {
        this.failure = error;
        this.wake();
      },
    });
  }

  /** Refuses an unreadable message before the session sees it, as the dispatcher does. */
  private async hand(bytes: Buffer): Promise<TardisError | undefined> {
    let name: MessageName;
    try {
      name = peekMessage(bytes, 'to-server');
      decodeMessage(name, bytes);
    } catch (error) {
      return error as TardisError;
    }
    this.failure = undefined;
    this.waiting += bytes.length;
    this.handle!.post(name, Buffer.from(bytes));
    while (this.waiting > 0 && this.failure === undefined) {
      await new Promise<void>((resolve) => void (this.wake = resolve));
    }
    return this.failure;
  }
}

const NO_BYTES = Buffer.alloc(0);
const ROOT_ROW = rowOf('root', { type: EntryType.directory, permissions: 0o755 });

function openSet(changes: Partial<Head<'openSet'>> = {}): Head<'openSet'> {
  return {
    name: '',
    clientTimeMs: 1_700_000_000_000,
    paths: [Buffer.from('/root')],
    rows: ROOT_ROW,
    devices: ['device'],
    empties: Buffer.of(0),
    trust: true,
    full: false,
    priority: 0,
    expendable: false,
    tags: [],
    ...changes,
  };
}

/** Message that declares the directory of the first root. */
const HEADS = encodeMessage('heads', {
  isQuestion: false,
  slots: [0],
  parents: [-1],
  rows: ROOT_ROW,
  hashes: Buffer.alloc(32),
}).head;

function parcel(row: Buffer): Buffer {
  const head = { slots: [0], lengths: [row.length], rows: row, records: [] };
  return encodeMessage('parcel', head, NO_BYTES).head;
}

const link = (name: Buffer | string, target: Buffer | string): Buffer =>
  rowOf(name, { type: EntryType.symlink, linkTarget: Buffer.from(target) });

/** Each field of a backup that a client fills, with a function that makes a message with a string in it. */
const FIELDS: readonly [what: string, isFirst: boolean, make: (bytes: Buffer) => Buffer][] = [
  ['name of a set', true, (bytes) => withBytes('openSet', (name) => openSet({ name }), bytes)],
  [
    'device of a root',
    true,
    (bytes) => withBytes('openSet', (device) => openSet({ devices: [device] }), bytes),
  ],
  ['path of a root', true, (bytes) => encodeMessage('openSet', openSet({ paths: [bytes] })).head],
  ['name of an entry', false, (bytes) => parcel(link(bytes, 'target'))],
  ['target of a link', false, (bytes) => parcel(link('link', bytes))],
  [
    'name in a listing',
    false,
    (rows) => encodeMessage('listing', { slot: 0, last: false, rows: rowOf(rows) }).head,
  ],
  [
    'name of an owner',
    false,
    (bytes) => encodeMessage('owners', { groups: Buffer.of(0), ids: [7], names: [bytes] }).head,
  ],
  [
    'name in a note',
    false,
    (bytes) => {
      const note = { slots: [0], names: [bytes], whats: ['vanished' as const], reasons: ['x'] };
      return encodeMessage('notes', note).head;
    },
  ],
  [
    'kind of a note',
    false,
    (bytes) => {
      const note = { slots: [0], names: [Buffer.from('x')], reasons: ['x'] };
      return withBytes('notes', (what) => ({ ...note, whats: [what as NoteKind] }), bytes);
    },
  ],
  [
    'reason of a note',
    false,
    (bytes) => {
      const note = { slots: [0], names: [Buffer.from('x')], whats: ['vanished' as const] };
      return withBytes('notes', (reason) => ({ ...note, reasons: [reason] }), bytes);
    },
  ],
];

for (const [what, isFirst, make] of FIELDS) {
  test(`messages of a client that was taken over: ${what}`, async (t) => {
    const guard = sandbox(t, ['store/me']);
    await createClientDirectory(system, { store: guard.store, client: 'me' });
    const begin = isFirst ? [] : [encodeMessage('openSet', openSet()).head, HEADS];
    const session = new Session(guard.store, Purpose.backup, begin);
    const tally = new Tally();
    for (const bytes of someStrings(t, guard)) {
      const failure = await session.send(make(bytes));
      tally.add(failure && reportedCode(t, failure, bytes));
      if (failure !== undefined) t.notRegex(failure.message, CONTROL);
      if (isFirst) await session.abandon();
    }
    await session.abandon();
    t.log(what, Object.fromEntries(tally.counts));
    t.deepEqual(guard.touched(), []);
    const next = new Session(guard.store, Purpose.backup, []);
    t.is(await next.send(encodeMessage('openSet', openSet()).head), undefined, 'it serves on');
    await next.abandon();
  });
}

const QUESTIONS: readonly [what: string, make: (bytes: Buffer) => Buffer][] = [
  ['path', (p) => encodeMessage('readEntry', { question: 1, set: 1, path: p }).head],
  ['path of versions', (p) => encodeMessage('readVersions', { question: 1, path: p }).head],
  [
    'object',
    (bytes) =>
      withBytes(
        'readObject',
        (object) => ({ question: 1, object, position: 0, bytes: 100 }),
        bytes,
      ),
  ],
  [
    'digest',
    (bytes) => encodeMessage('readDigests', { question: 1, prefix: bytes, limit: 10 }).head,
  ],
  [
    'place in a listing',
    (after) => {
      const page = { directory: 1, set: 1, limit: 10, withDigests: true, unlike: 0 };
      return encodeMessage('readListing', { question: 1, ...page, after }).head;
    },
  ],
];

test('questions of a reader', async (t) => {
  const guard = sandbox(t, ['store/me', 'source']);
  makeTree(guard.source, [file('one', 'one')]);
  await backupInline(system, { store: guard.store, client: 'me' }, [guard.source], {
    create: true,
  });
  for (const [what, make] of QUESTIONS) {
    const session = new Session(guard.store, Purpose.read, []);
    const tally = new Tally();
    for (const bytes of someStrings(t, guard, what)) {
      const failure = await session.send(make(bytes));
      tally.add(failure && reportedCode(t, failure, bytes));
    }
    await session.abandon();
    t.log(what, Object.fromEntries(tally.counts));
    if (what === 'object') t.is(tally.of(''), 1, 'only the pack itself is an object');
  }
  t.deepEqual(guard.touched(), []);
});

test('sections of a key file, and their descriptions', async (t) => {
  const guard = sandbox(t, []);
  const { modPow } = system.native;
  const light = { logN: 14, r: 8, p: 1 };
  const { record } = await newKeyRecord(modPow, Buffer.from('x'), true, light);
  const good = KeyFileText.parse(NO_BYTES, 'F').with('me', [record]);
  const tally = new Tally();
  for (const bytes of strings(t, guard)) {
    for (const changed of [
      Buffer.concat([Buffer.from('# tardis key file 1\n['), bytes, Buffer.from(']\n'), good]),
      Buffer.from(
        good.toString('latin1').replace('[me]', () => `[${bytes.toString('latin1')}]`),
        'latin1',
      ),
      Buffer.from(
        good.toString('latin1').replace(/^keys = .*/m, () => `keys = ${bytes.toString('latin1')}`),
        'latin1',
      ),
      Buffer.from(
        good.toString('latin1').replace('record 1', () => `record ${bytes.toString('latin1')}`),
        'latin1',
      ),
      bytes,
    ]) {
      tally.add(
        await tried(t, bytes, () => {
          const text = KeyFileText.parse(changed, 'F');
          t.notRegex(text.lack('me'), CONTROL);
          try {
            text.find(record.keysetId);
          } catch (error) {
            t.notRegex((error as Error).message, CONTROL);
            throw error;
          }
        }),
      );
    }
  }
  t.deepEqual(tally.codes, ['KEY_FILE_INVALID']);
  t.deepEqual(guard.touched(), []);
});

test('names of jobs', async (t) => {
  const guard = sandbox(t, ['target']);
  const config = written(guard.target, 'config', '[Tardis]\nClient = me\n[job]\nClient = other\n');
  const tally = new Tally();
  for (const bytes of strings(t, guard)) {
    const job = byteText(bytes);
    const commandLine = new Map([
      ['configFiles', [config]],
      ['job', [job]],
    ]);
    const code = await tried(t, bytes, () => {
      try {
        resolveSettings('lstardis', { commandLine, environment: { TARDIS_DEFAULTS: '' } });
      } catch (error) {
        t.notRegex((error as Error).message, CONTROL);
        throw error;
      }
    });
    tally.add(code);
  }
  t.deepEqual([...tally.counts.keys()], ['CONFIG_INVALID']);
  t.deepEqual(guard.touched(), []);
});

test('the names of sets that a table can show', (t) => {
  const names = hostileStrings('/x').map((bytes) => bytes.toString());
  t.true(
    names.filter((name) => setNameFault(name) === undefined).every((name) => !CONTROL.test(name)),
  );
});
