/** Contents, deltas and signatures as messages. */
import test from 'ava';
import { OutgoingStreams } from '../../src/client/index.js';
import { sha256 } from '../helpers/rows.js';

type Sender = ConstructorParameters<typeof OutgoingStreams>[0];

/** Records the names and heads of all messages. */
function recorder(): { sender: Sender; sent: [name: string, head: Record<string, unknown>][] } {
  const sent: [string, Record<string, unknown>][] = [];
  const sender: Sender = {
    post: (name, head) => void sent.push([name, head]),
    send: async (name, head) => void sent.push([name, head]),
  };
  return { sender, sent };
}

const START = { isPart: false, codec: 1, fileSizeBytes: 9, cipher: undefined };
const END = { digest: sha256('x'), sizeBytes: 9, rawBytes: 4, seal: Buffer.alloc(0) };

test('streams of all kinds are numbered from 1 on, and never twice', (t) => {
  const { sender, sent } = recorder();
  const streams = new OutgoingStreams(sender);
  streams.content(START).abort();
  streams.delta(7, START);
  streams.signature(undefined);
  streams.content(START);
  t.deepEqual(
    sent.map(([name, { stream }]) => [name, stream]),
    [
      ['streamOpen', 1],
      ['streamAbort', 1],
      ['deltaOpen', 2],
      ['signatureOpen', 3],
      ['streamOpen', 4],
    ],
  );
  t.is(sent[2]![1]['basis'], 7);
});

test('each kind of stream has an end of its own, with the digest', async (t) => {
  const { sender, sent } = recorder();
  const streams = new OutgoingStreams(sender);
  await streams.content(START).end(END);
  await streams.delta(1, START).end(END);
  await streams.signature(undefined).end(END);
  const ends = sent.filter(([name]) => name.endsWith('End'));
  t.deepEqual(
    ends.map(([name, { stream }]) => [name, stream]),
    [
      ['streamEnd', 1],
      ['deltaEnd', 2],
      ['signatureEnd', 3],
    ],
  );
  for (const [, head] of ends) t.deepEqual(head['digest'], END.digest);
});

test('the digest is sent as its own bytes, not as the memory that it lies in', async (t) => {
  const { sender, sent } = recorder();
  const memory = new Uint8Array(100).fill(7);
  const digest = memory.subarray(10, 42).fill(9);
  await new OutgoingStreams(sender).content(START).end({ ...END, digest });
  t.deepEqual(sent[1]![1]['digest'], Buffer.alloc(32, 9));
});

test('a stream is aborted once, and not after its end', async (t) => {
  const { sender, sent } = recorder();
  const streams = new OutgoingStreams(sender);
  const [one, other] = [streams.content(START), streams.content(START)];
  one.abort();
  one.abort();
  await other.end(END);
  other.abort();
  t.deepEqual(
    sent.flatMap(([name, { stream }]) => (name === 'streamAbort' ? [stream] : [])),
    [1],
  );
});

test('the memory of a chunk is freed once the server has received it, and not before', async (t) => {
  let receive = (): void => undefined;
  const received = new Promise<void>((resolve) => (receive = resolve));
  const sender: Sender = { post: () => undefined, send: () => received };
  const chunk = Buffer.allocUnsafeSlow(1000);
  const sending = new OutgoingStreams(sender).content(START).chunk(chunk);
  t.is(chunk.length, 1000);
  receive();
  await sending;
  t.is(chunk.length, 0);
});
