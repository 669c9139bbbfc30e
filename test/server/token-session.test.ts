// Pace: slow
/** Sessions of a server by the token of an account: they read, and nothing else. */
import path from 'node:path';
import anyTest, { type TestFn } from 'ava';
import { encodeRequest } from '../../src/history/index.js';
import { RIGHTS } from '../../src/model/index.js';
import { nodeSystem } from '../../src/system/index.js';
import {
  connect,
  type Connection,
  DEFAULT_LINK,
  encodeMessage,
  type EncodedMessage,
  type MessageName,
  PROTOCOL_VERSION,
  Purpose,
} from '../../src/transport/index.js';
import { historyLabFor } from '../helpers/history-lab.js';
import { giveToken, startOverTls, type TlsServer } from '../helpers/web-gateway.js';

const test = anyTest as TestFn<undefined>;
const HELLO = {
  protocol: PROTOCOL_VERSION,
  software: 'a test',
  client: 'me',
  account: '',
  create: false,
  purpose: Purpose.read,
  keys: Buffer.alloc(0),
  ticket: Buffer.alloc(0),
  upTo: 0,
  code: '',
  run: '',
};

let server: TlsServer;
let token: string;

const lab = historyLabFor(test, false, async ({ home, place }) => {
  server = await startOverTls(home, place.store);
  token = await giveToken(place, 'everything', RIGHTS);
  return () => server.stop();
});

function loginBy(text: string, protocol = PROTOCOL_VERSION): EncodedMessage {
  return encodeMessage('loginToken', { protocol, software: 'a test', token: text });
}

/** Sends messages one after another. Returns the names of the answers, and the code with which the server hung up. */
async function reported(
  messages: readonly EncodedMessage[],
  place: Pick<TlsServer, 'address' | 'tls'> = server,
): Promise<readonly (string | undefined)[]> {
  const connection: Connection = await connect(
    nodeSystem(),
    place.address,
    DEFAULT_LINK,
    place.tls,
  );
  const names: MessageName[] = [];
  const heard = new Promise<void>((resolve) => {
    connection.onMessage((name) => {
      names.push(name);
      if (names.length === messages.length) resolve();
    });
    void connection.closed.then(() => resolve());
  });
  for (const message of messages) connection.sendEncoded(message);
  await heard;
  if (names.length === messages.length) connection.close();
  const reason = await connection.closed;
  return [...names, reason?.code];
}

test('a token opens a session that answers questions', async (t) => {
  const question = encodeRequest('readSets', 1, undefined);
  t.deepEqual(await reported([loginBy(token), question]), ['tokenTaken', 'setsAre', undefined]);
});

test('whatever its rights are, a session by a token changes nothing and begins no work', async (t) => {
  const changes = [
    encodeRequest('deleteSets', 1, { sets: [1], preview: false }),
    encodeRequest('purgeSets', 1, undefined),
    encodeRequest('freeUnneeded', 1, undefined),
    encodeRequest('changeSetting', 1, { key: 'KeepDaily', value: '1' }),
    encodeRequest('checkStore', 1, { data: 'all', amount: 0, of: 0, leastAgeMs: 0, mark: true }),
    encodeRequest('forgetPaths', 1, { paths: [Buffer.from('/')], undoMs: 0, preview: false }),
    encodeRequest('withdrawForgets', 1, { ids: [1] }),
    encodeMessage('setKeys', { keys: Buffer.alloc(0) }),
    encodeMessage('configuration', { config: { form: 'sealed', bytes: Buffer.alloc(1) } }),
    encodeMessage('acknowledge', { ticket: Buffer.alloc(16), upTo: 0 }),
  ];
  for (const change of changes) {
    t.deepEqual(await reported([loginBy(token), change]), ['tokenTaken', 'NOT_PERMITTED']);
  }
});

test('wrong tokens, a second greeting and another protocol are refused', async (t) => {
  const [client, account, secret] = token.split('/') as [string, string, string];
  const wrong = [
    `${client}/${account}/${'A'.repeat(43)}`,
    `${client}/other/${secret}`,
    `other/${account}/${secret}`,
    `../${account}/${secret}`,
    `${client}/${path.join('..', account)}/${secret}`,
    `${token}/`,
    token.slice(0, -1),
    '',
    '\0',
  ];
  for (const text of wrong) t.deepEqual(await reported([loginBy(text)]), ['NOT_LOGGED_IN'], text);
  t.deepEqual(await reported([loginBy(token, 9)]), ['PROTOCOL_VERSION']);
  const hello = encodeMessage('hello', HELLO);
  for (const [first, second] of [
    [loginBy(token), hello],
    [loginBy(token), loginBy(token)],
    [hello, loginBy(token)],
  ] as const) {
    t.is((await reported([first, second, first])).at(-1), 'PROTOCOL_VIOLATION');
  }
});

test('over plain TCP no token is taken', async (t) => {
  const plain = { address: lab.daemon.address, tls: undefined };
  t.deepEqual(await reported([loginBy(token)], plain), ['NOT_PERMITTED']);
});
