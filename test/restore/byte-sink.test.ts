/** Many small writes as few large ones. */
import test from 'ava';
import { ByteSink } from '../../src/restore/index.js';

const SINK_BYTES = 256 << 10;

test('bytes arrive in order, in large pieces, and the rest with a flush', async (t) => {
  const pieces: Buffer[] = [];
  const sink = new ByteSink(async (bytes) => void pieces.push(Buffer.from(bytes)));
  const all = Buffer.from(Array.from({ length: 3 * SINK_BYTES + 17 }, (_, at) => at % 251));
  for (let at = 0; at < all.length; ) {
    const part = all.subarray(at, at + 70_001);
    await sink.write(part);
    at += part.length;
  }
  t.deepEqual(
    pieces.map(({ length }) => length),
    [SINK_BYTES, SINK_BYTES, SINK_BYTES],
  );
  await sink.flush();
  await sink.flush();
  t.is(pieces.length, 4, 'an empty flush writes nothing');
  t.true(Buffer.concat(pieces).equals(all));
  t.is(sink.bytes, all.length);
});

test('the memory of written bytes may be used again', async (t) => {
  const pieces: Buffer[] = [];
  const sink = new ByteSink(async (bytes) => void pieces.push(Buffer.from(bytes)));
  const memory = Buffer.from('one');
  await sink.write(memory);
  memory.write('two');
  await sink.write(memory);
  await sink.flush();
  t.is(Buffer.concat(pieces).toString(), 'onetwo');
});

test('a write waits for the sink, and its failure is the writer’s', async (t) => {
  const sink = new ByteSink(async () => {
    throw new Error('of the sink');
  });
  await sink.write(Buffer.alloc(10));
  await t.throwsAsync(sink.write(Buffer.alloc(SINK_BYTES)), { message: 'of the sink' });
});
