/** The writer of a log counts the parity of its objects, and readers pass over it. */
import test from 'ava';
import { walkCommits } from '../../../src/store/catalog/index.js';
import {
  buildCommit,
  buildRecord,
  Codec,
  type Covered,
  LABEL_BYTES,
  mediumOf,
  packName,
  RecordKind,
  scanPack,
} from '../../../src/store/index.js';
import { sharedClient } from '../../helpers/bucket-machines.js';
import { inlineSystem } from '../../helpers/inline.js';
import { noise } from '../../helpers/tree.js';
import type { Objects } from '../../support/memory-object-store.js';

const COUNTERS = { set: 0, directory: 0, root: 0, sequence: 1 };
const PACK_BYTES = 1 << 20;
const RECORDS = 40;
const CONTENT_BYTES = 200_000;

/** Writes many records at once; returns the bytes that the writer has counted, and the objects. */
async function written(t: Parameters<typeof sharedClient>[0], parityPercent: number) {
  const objects: Objects = new Map();
  const start = (await sharedClient(t, objects))();
  const bucket = { ...start.bucket!, settings: { parityPercent } };
  const directory = { ...start, bucket };
  const medium = mediumOf(inlineSystem(), directory);
  const backend = medium.records();
  const writer = medium.writer(backend, { lastCommit: 0, lastPack: 0, packBytes: PACK_BYTES });
  const build = (commit: number, previous: number) => (covered: Covered) =>
    Promise.resolve(buildCommit(commit, { commit, previous, ...covered, counters: COUNTERS }));
  const claim = await writer.claim(build(1, 0));
  const header = { kind: RecordKind.content, codec: Codec.none, rawBytes: CONTENT_BYTES } as const;
  for (let at = 0; at < RECORDS; at += 1) {
    writer.append(buildRecord(header, Buffer.from('index'), noise(at, CONTENT_BYTES)));
    if (at % 3 === 0) await new Promise(setImmediate); // parity is made meanwhile
  }
  await writer.commit(build(2, claim!.checksum), (write) => write());
  const { appendedBytes } = writer;
  writer.close();
  return { objects, backend, appendedBytes };
}

function bytesIn(objects: Objects): number {
  return [...objects.values()].reduce((sum, { bytes }) => sum + bytes.length, 0);
}

test('parity is counted with the bytes of a session, and no commit covers it', async (t) => {
  const [bare, protectedOnes] = [await written(t, 0), await written(t, 10)];
  const parityBytes = bytesIn(protectedOnes.objects) - bytesIn(bare.objects);
  t.deepEqual([...protectedOnes.objects.keys()], [...bare.objects.keys()], 'no object more');
  t.true(parityBytes > bytesIn(bare.objects) / 10, `${parityBytes}`);
  t.is(protectedOnes.appendedBytes - bare.appendedBytes, parityBytes);
  const { backend } = protectedOnes;
  const point = { commit: 0, pack: 0, position: 0, checksum: 0 };
  let commits = 0;
  for await (const { body } of walkCommits(backend, {
    point,
    sequence: 0,
    isThorough: false,
  }).commits()) {
    commits += 1;
    for (const { pack, to } of body.ranges) {
      const kinds: number[] = [];
      for await (const { header, position } of scanPack(backend, pack, LABEL_BYTES)) {
        kinds.push(header.kind);
        t.is(
          header.kind === RecordKind.parity,
          position >= to && header.kind !== RecordKind.commit,
          packName(pack),
        );
      }
      t.is(kinds.at(-1), RecordKind.parity);
    }
  }
  t.is(commits, 2);
});
