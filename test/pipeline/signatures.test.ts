// Pace: slow
/**
 * The signature stage: the signature that arrives is the one that librsync makes of the whole content, whatever the
 * parts.
 */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { SPARSE_START_BYTES } from '../../src/contents/index.js';
import { blockBytesFor, MAX_BLOCKS, signatureBytesFor } from '../../src/delta/index.js';
import { signatureOf } from '../helpers/deltas.js';
import { FakePeer } from '../helpers/fake-peer.js';
import { fill } from '../helpers/jobs.js';
import { startPipeline } from '../helpers/pipelines.js';
import { scratchInMemory, written } from '../helpers/scratch.js';
import { noise } from '../helpers/tree.js';

const MIB = 1 << 20;
const PART_BYTES = 64 * MIB;

test('blocks are powers of two, and never too many of them', (t) => {
  let before = 0;
  for (let bytes = 1; bytes < 2 ** 44; bytes = Math.ceil(bytes * 1.7)) {
    const blockBytes = blockBytesFor(bytes)!;
    t.is(Math.log2(blockBytes) % 1, 0);
    t.true(blockBytes >= before && bytes / blockBytes <= MAX_BLOCKS, String(bytes));
    before = blockBytes;
  }
  t.is(blockBytesFor(2 ** 30), 2048);
  t.is(blockBytesFor(2 ** 30 + 1), 4096);
  t.is(blockBytesFor(2 ** 50), undefined);
  t.is(signatureBytesFor(2049, 2048), 12 + 40);
});

test('the signature of a content comes with it, joined from its parts, if it is requested', async (t) => {
  const folder = scratchInMemory(t);
  const inParts = Buffer.concat([noise('p', PART_BYTES), noise('q', 2 * MIB + 77)]);
  const whole = noise('w', 3 * MIB + 5);
  fill(folder, { whole, small: noise('s', 200_000), large: noise('l', MIB - 1) });
  fs.writeFileSync(path.join(folder, 'in parts'), inParts);
  const peer = new FakePeer();
  await startPipeline(folder, peer, { sendSignatures: true }).done;
  t.is(peer.signatures.size, 2, 'small files have none');
  for (const content of [inParts, whole]) {
    const signature = signatureOf(content, blockBytesFor(content.length)!);
    t.true([...peer.signatures.values()].some((other) => other.equals(signature)));
  }
  t.deepEqual([...peer.signatures.keys()].sort(), peer.digestsOf('/in parts', '/whole'));
  const silent = new FakePeer();
  await startPipeline(folder, silent).done;
  t.is(silent.signatures.size, 0);
});

test('a file of mostly holes has the signature of its sparse form, and one that changes while it is read has none', async (t) => {
  const folder = scratchInMemory(t);
  const hollow = written(folder, 'hollow', noise('h', 2 * MIB));
  fs.truncateSync(hollow, 9 * MIB);
  const changing = written(folder, 'changing', noise('c', 4 * MIB));
  const peer = new FakePeer();
  peer.beforeAnswer = (call) => {
    if (call === 'chunk') fs.appendFileSync(changing, 'x');
  };
  await startPipeline(folder, peer, { sendSignatures: true }).done;
  t.true(peer.rows.has('/hollow') && peer.rows.has('/changing'));
  t.deepEqual([...peer.signatures.keys()], peer.digestsOf('/hollow'));
  const formBytes = 2 * MIB + SPARSE_START_BYTES + 16;
  const blockBytes = blockBytesFor(formBytes)!;
  t.is([...peer.signatures.values()][0]?.length, signatureBytesFor(formBytes, blockBytes));
});
