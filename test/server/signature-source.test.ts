/** Signatures that a session sends: once it is over, nothing of its store is opened again. */
import test from 'ava';
import { contentIdOf } from '../../src/model/index.js';
import { SignatureSource } from '../../src/server/index.js';
import { Codec, STREAM_CHUNK_BYTES } from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { chunkedRecord } from '../helpers/records.js';
import { noise } from '../helpers/tree.js';

type Parts = ConstructorParameters<typeof SignatureSource>;

test('a signature that is being read when the session ends reads nothing more', async (t) => {
  const record = chunkedRecord(noise(1, 6 * STREAM_CHUNK_BYTES), STREAM_CHUNK_BYTES, Codec.none);
  const place = { pack: 1, position: 0, recordBytes: record.length };
  let [isClosed, lateReads, answers] = [false, 0, 0];
  const backend = {
    read: (_name: string, position: number, into: Buffer, bytes: number) => {
      if (isClosed) lateReads += 1;
      return Promise.resolve(record.copy(into, 0, position, position + bytes));
    },
  };
  const store = { backend, catalog: { signatures: { find: () => place } } };
  const trust = { inSignature: () => true };
  const first = Promise.withResolvers<void>();
  const answer = (): void => {
    answers += 1;
    source.halt();
    isClosed = true;
    first.resolve();
  };
  const source = new SignatureSource(
    nodeSystem(),
    store as unknown as Parts[1],
    trust as unknown as Parts[2],
    answer,
  );
  source.send(1, contentIdOf(1), false);
  await first.promise;
  await source.stop();
  t.is(lateReads, 0);
  t.is(answers, 1);
});
