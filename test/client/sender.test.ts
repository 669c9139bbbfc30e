/** Messages of a client in the order of the calls, within the credit that the server grants. */
import test from 'ava';
import { Sender } from '../../src/client/index.js';
import { TardisError } from '../../src/errors/index.js';
import { type Connection, type EncodedMessage, encodeMessage } from '../../src/transport/index.js';
import { rejectedCode, thrownCode } from '../helpers/codes.js';

/** Bytes of each message that the tests send. */
const BYTES = encodeMessage('durable', { upTo: 0 }).bytes;

class FakeConnection {
  readonly sent: number[] = [];

  sendEncoded(message: EncodedMessage): void {
    this.sent.push(message.head.at(-1)!);
  }

  get line(): Connection {
    return this as unknown as Connection;
  }
}

function send(sender: Sender, number: number): Promise<void> {
  return sender.send('durable', { upTo: number });
}

/** Returns a sender over a connection, which has credit for so many messages. */
function connected(credit: number): { sender: Sender; connection: FakeConnection } {
  const sender = new Sender({ compressHeads: false });
  const connection = new FakeConnection();
  sender.attach(connection.line);
  sender.welcome(credit * BYTES);
  return { sender, connection };
}

test('nothing is sent to a server that has not welcomed the client', (t) => {
  const sender = new Sender({ compressHeads: false });
  const connection = new FakeConnection();
  sender.attach(connection.line);
  void send(sender, 1);
  t.deepEqual(connection.sent, []);
  sender.welcome(10 * BYTES);
  t.deepEqual(connection.sent, [1]);
});

test('messages wait for credit in their order, and resolve when the server has received them', async (t) => {
  const { sender, connection } = connected(2);
  const done: number[] = [];
  const all = [1, 2, 3, 4, 5].map((number) => send(sender, number).then(() => done.push(number)));
  t.deepEqual(connection.sent, [1, 2]);
  sender.received(1);
  t.deepEqual(connection.sent, [1, 2, 3]);
  sender.received(3);
  t.deepEqual(connection.sent, [1, 2, 3, 4, 5]);
  sender.received(5);
  await Promise.all(all);
  t.deepEqual(done, [1, 2, 3, 4, 5]);
  t.is(sender.sentBytes, 5 * BYTES);
});

test('a message larger than the credit is sent alone', (t) => {
  const sender = new Sender({ compressHeads: false });
  const connection = new FakeConnection();
  sender.attach(connection.line);
  sender.welcome(1);
  for (const number of [1, 2, 3]) void send(sender, number);
  t.deepEqual(connection.sent, [1]);
  sender.received(1);
  t.deepEqual(connection.sent, [1, 2]);
});

test('over another connection, exactly what the server lacks is sent again, before what is new', async (t) => {
  const { sender, connection } = connected(3);
  const all = [1, 2, 3, 4].map((number) => send(sender, number));
  sender.received(1);
  sender.detach();
  void send(sender, 5);
  t.deepEqual(connection.sent, [1, 2, 3, 4]);
  const next = new FakeConnection();
  sender.resume(next.line, 2);
  t.deepEqual(next.sent, [3, 4]);
  t.is(sender.resentBytes, 2 * BYTES);
  t.is(sender.sentCount, 4, 'a message counts once');
  sender.received(4);
  t.deepEqual(next.sent, [3, 4, 5]);
  await Promise.all(all);
});

test('a server that has received what was never sent, or takes a receipt back, is refused', (t) => {
  for (const upTo of [0, 3, Number.MAX_SAFE_INTEGER]) {
    const { sender } = connected(2);
    for (const number of [1, 2, 3]) send(sender, number).catch(() => undefined);
    sender.received(1);
    const next = new FakeConnection();
    const code = thrownCode(() => sender.resume(next.line, upTo));
    t.is(code, upTo === 3 ? undefined : 'PROTOCOL_VIOLATION', `${upTo}`);
    t.deepEqual(next.sent.length > 0, false);
  }
});

test('a receipt for more than was sent is bounded by what was sent', async (t) => {
  const { sender } = connected(2);
  const first = send(sender, 1);
  sender.received(1000);
  await first;
  t.is(sender.sentCount, 1);
});

test('what is durable only rises, and never exceeds what was sent', (t) => {
  const reported: number[] = [];
  const sender = new Sender({ compressHeads: false, onDurable: (bytes) => reported.push(bytes) });
  sender.attach(new FakeConnection().line);
  sender.welcome(10 * BYTES);
  for (const number of [1, 2, 3]) void send(sender, number);
  sender.durable(1);
  sender.durable(3);
  t.deepEqual(reported, [BYTES, 3 * BYTES]);
  for (const upTo of [2, 4])
    t.is(
      thrownCode(() => sender.durable(upTo)),
      'PROTOCOL_VIOLATION',
    );
});

test('a lost session fails all that waits and all that is sent later, with the first error', async (t) => {
  const { sender } = connected(1);
  const waiting = [1, 2].map((number) => rejectedCode(send(sender, number)));
  sender.fail(new TardisError('CONNECTION_LOST', 'lost'));
  sender.fail(new TardisError('TIMED_OUT', 'late'));
  const later = rejectedCode(send(sender, 3));
  t.deepEqual(await Promise.all([...waiting, later]), Array(3).fill('CONNECTION_LOST'));
  t.notThrows(() => sender.post('durable', { upTo: 4 }), 'a failure is reported to the others');
});

test('a rate limit holds messages back, and what it allows is spent', async (t) => {
  let isOpen = false;
  let spentBytes = 0;
  const rateLimit = {
    waitMs: () => (isOpen ? 0 : 1),
    spend: (bytes: number) => void (spentBytes += bytes),
  };
  const limit = rateLimit as unknown as NonNullable<
    ConstructorParameters<typeof Sender>[0]['rateLimit']
  >;
  const sender = new Sender({ compressHeads: false, rateLimit: limit });
  const connection = new FakeConnection();
  sender.attach(connection.line);
  sender.welcome(10 * BYTES);
  void send(sender, 1);
  t.deepEqual(connection.sent, []);
  isOpen = true;
  const keptAlive = setInterval(() => undefined, 5); // as a socket would
  while (connection.sent.length === 0) await new Promise((resolve) => setImmediate(resolve));
  clearInterval(keptAlive);
  t.is(spentBytes, BYTES);
});
