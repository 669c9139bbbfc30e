/** Tests of the contract in src/transport/message-socket.ts, for every implementation. */
import { setImmediate as turn } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import type { MessageSocket } from '../../src/transport/index.js';
import { pause } from '../helpers/until.js';

const NORMAL = 1000;
const CUT = 1006;
const MANY = 300;
/** Time in which whatever is on its way arrives; no event marks that nothing more comes. */
const ARRIVES_MS = 50;

/** Events and messages of one end, in order. */
interface Received {
  readonly events: (string | number)[];
  readonly messages: Buffer[];
  /** Resolves when a number of events have come. */
  reach(count: number): Promise<void>;
}

function received(socket: MessageSocket): Received {
  const events: (string | number)[] = [];
  const messages: Buffer[] = [];
  socket.listen({
    message: (data, isText) => {
      messages.push(data);
      events.push(isText ? 'text' : 'message');
    },
    ping: () => void events.push('ping'),
    pong: (data) => void events.push(`pong ${data.toString()}`),
    failed: () => void events.push('failed'),
    closed: (code) => void events.push(code),
  });
  const reach = async (count: number): Promise<void> => {
    while (events.length < count) await turn();
  };
  return { events, messages, reach };
}

type Make = (t: ExecutionContext) => Promise<readonly [MessageSocket, MessageSocket]>;

/** Declares the tests. `make` returns the two ends of a new link. */
export function messageSocketSuite(make: Make): void {
  sendingSuite(make);
  closingSuite(make);
}

function sendingSuite(make: Make): void {
  test('messages that are given away arrive whole, and in order with the others', async (t) => {
    const [one, other] = await make(t);
    received(one);
    const at = received(other);
    const sizes = [3, 200_000, 1, 70_000];
    for (const [n, sizeBytes] of sizes.entries()) {
      one.sendLast(Buffer.alloc(sizeBytes, n));
      one.send(Buffer.from([n]));
    }
    await at.reach(2 * sizes.length);
    const expected = sizes.flatMap((sizeBytes, n) => [
      Buffer.alloc(sizeBytes, n),
      Buffer.from([n]),
    ]);
    t.true(at.messages.every((message, n) => message.equals(expected[n]!)));
  });

  test('messages arrive whole and in order, and never within the call that sends them', async (t) => {
    const [one, other] = await make(t);
    const at = { one: received(one), other: received(other) };
    for (let n = 0; n < MANY; n += 1) {
      if (n % 2 === 0) one.send(Buffer.from([n & 0xff]));
      else one.send(Buffer.from([n & 0xff]), Buffer.alloc(n * 100, n), Buffer.alloc(0));
    }
    other.send(Buffer.from('answer'));
    t.deepEqual([at.one.events, at.other.events], [[], []]);
    await Promise.all([at.one.reach(1), at.other.reach(MANY)]);
    t.is(at.one.messages[0]!.toString(), 'answer');
    const isWhole = at.other.messages.every((message, n) =>
      n % 2 === 0
        ? message.equals(Buffer.from([n & 0xff]))
        : message.equals(Buffer.concat([Buffer.from([n & 0xff]), Buffer.alloc(n * 100, n)])),
    );
    t.true(isWhole);
    t.deepEqual([one.bufferedBytes, other.bufferedBytes], [0, 0]);
  });

  test('each end owns its memory: what the sender writes or frees after the receipt changes nothing', async (t) => {
    const [one, other] = await make(t);
    const at = received(other);
    received(one);
    const [head, attachment] = [Buffer.from('head'), Buffer.alloc(100_000, 7)];
    one.send(head, attachment);
    one.send(head);
    await at.reach(2);
    head.fill(0);
    structuredClone(attachment.buffer, { transfer: [attachment.buffer] });
    t.true(at.messages[0]!.equals(Buffer.concat([Buffer.from('head'), Buffer.alloc(100_000, 7)])));
    t.is(at.messages[1]!.toString(), 'head');
  });

  test('a paused end receives nothing, and everything once it goes on', async (t) => {
    const [one, other] = await make(t);
    const at = received(other);
    received(one);
    other.pause();
    for (let n = 0; n < MANY; n += 1) one.send(Buffer.from([n & 0xff]), Buffer.alloc(100_000));
    await pause(ARRIVES_MS);
    t.deepEqual(at.events, []);
    t.true(one.bufferedBytes > 0, 'the sender sees that it is too fast');
    other.resume();
    await at.reach(MANY);
    t.true(at.messages.every((message, n) => message[0] === (n & 0xff)));
  });

  test('a receiver may pause in the middle, and the rest waits', async (t) => {
    const [one, other] = await make(t);
    received(one);
    const sizes: number[] = [];
    other.listen({
      message: ({ length }) => {
        sizes.push(length);
        if (sizes.length % 10 !== 0) return;
        other.pause();
        setTimeout(() => other.resume(), 1);
      },
      ping: () => undefined,
      pong: () => undefined,
      failed: () => undefined,
      closed: () => undefined,
    });
    for (let n = 0; n < 50; n += 1) one.send(Buffer.alloc(200_000, n));
    while (sizes.length < 50) await turn();
    t.true(sizes.every((size) => size === 200_000));
  });

  test('a ping is answered with its data', async (t) => {
    const [one, other] = await make(t);
    const at = { one: received(one), other: received(other) };
    one.ping('');
    one.ping(Buffer.from('awake'));
    await at.one.reach(2);
    t.deepEqual(at.one.events, ['pong ', 'pong awake']);
    t.deepEqual(at.other.events, ['ping', 'ping']);
  });
}

function closingSuite(make: Make): void {
  test('an orderly end comes after all that was sent, at both ends', async (t) => {
    const [one, other] = await make(t);
    const at = { one: received(one), other: received(other) };
    other.send(Buffer.from('on its way'));
    one.send(Buffer.alloc(500_000));
    one.close(NORMAL);
    t.false(one.isOpen);
    one.send(Buffer.from('too late'));
    one.close(NORMAL);
    await Promise.all([at.one.reach(2), at.other.reach(2)]);
    t.deepEqual(at.one.events, ['message', NORMAL]);
    t.deepEqual(at.other.events, ['message', NORMAL]);
    t.false(other.isOpen);
    other.send(Buffer.from('too late'));
    other.ping('');
    other.terminate();
    await pause(ARRIVES_MS);
    t.deepEqual([at.one.events.length, at.other.events.length], [2, 2]);
  });

  test('a ping before an orderly end is answered or not, but nothing follows the end', async (t) => {
    const [one, other] = await make(t);
    const at = { one: received(one), other: received(other) };
    one.ping('late');
    one.close(NORMAL);
    other.ping('late too');
    for (const { events } of [at.one, at.other]) {
      while (!events.includes(NORMAL)) await turn();
    }
    await pause(ARRIVES_MS);
    for (const { events } of [at.one, at.other]) {
      t.is(events.indexOf(NORMAL), events.length - 1, events.join());
    }
  });

  test('both ends may close at once', async (t) => {
    const [one, other] = await make(t);
    const at = { one: received(one), other: received(other) };
    one.close(NORMAL);
    other.close(NORMAL);
    await Promise.all([at.one.reach(1), at.other.reach(1)]);
    await pause(ARRIVES_MS);
    t.deepEqual([at.one.events, at.other.events], [[NORMAL], [NORMAL]]);
  });

  test('a link that is cut has no orderly end, and the end that cuts it receives no more', async (t) => {
    const [one, other] = await make(t);
    const at = { one: received(one), other: received(other) };
    other.send(Buffer.from('unread'));
    one.terminate();
    t.deepEqual(at.one.events, [], 'not within the call');
    await Promise.all([at.one.reach(1), at.other.reach(1)]);
    await pause(ARRIVES_MS);
    t.deepEqual(at.one.events, [CUT]);
    t.is(at.other.events.at(-1), CUT);
    t.deepEqual([one.isOpen, other.isOpen], [false, false]);
  });

  test('an end that has closed in order may cut at once: for its peer the end is orderly', async (t) => {
    const [one, other] = await make(t);
    const at = { one: received(one), other: received(other) };
    one.send(Buffer.from('last'));
    one.close(NORMAL);
    while (one.bufferedBytes > 0) await turn();
    one.terminate();
    await at.other.reach(2);
    t.deepEqual(at.other.events, ['message', NORMAL]);
    await at.one.reach(1);
    t.is(at.one.events.length, 1);
  });
}
