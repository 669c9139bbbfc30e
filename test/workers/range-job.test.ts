import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { RowFlag, RowReader } from '../../src/model/index.js';
import {
  Codec,
  type Compression,
  readChunkHeader,
  STREAM_CHUNK_BYTES,
} from '../../src/store/index.js';
import { nodeSystem, type System, systemClock } from '../../src/system/index.js';
import { seededRandom } from '../support/seeded-random.js';
import { InlineJobs, type RangeInput } from '../../src/workers/index.js';
import { joined } from '../helpers/fake-peer.js';
import { systemWith } from '../helpers/jobs.js';
import { entriesOf, sha256 } from '../helpers/rows.js';
import { scratch, written } from '../helpers/scratch.js';
import { listedFile } from '../helpers/identities.js';

const { native } = nodeSystem();
const ZSTD: Compression = { codec: Codec.zstd, level: 1 };
const MIB = 1 << 20;

/** A content of three and a half chunks, a part of which is noise. */
const CONTENT = Buffer.concat([
  Buffer.alloc(MIB, 'text '),
  seededRandom(1).bytes(MIB / 2),
  Buffer.alloc(2 * MIB, 0),
]);

function inputFor(folder: string, name: string, more: Partial<RangeInput> = {}): RangeInput {
  return {
    ...listedFile(path.join(folder, name)),
    sparseHead: undefined,
    offset: 0,
    bytes: 64 * MIB,
    compression: ZSTD,
    ...more,
  };
}

async function run(
  input: RangeInput,
  onChunk: (chunk: number) => Promise<void> | void = () => undefined,
  system: System = systemWith(),
) {
  const chunks: Buffer[] = [];
  const output = await new InlineJobs(system).runRange(input, 2, async (chunk) => {
    chunks.push(Buffer.from(chunk));
    await onChunk(chunks.length);
  });
  return { output, chunks };
}

test('a file comes out in chunks, with the digest of all of it', async (t) => {
  const folder = scratch(t);
  fs.writeFileSync(path.join(folder, 'file'), CONTENT);
  for (const codec of Object.values(Codec)) {
    const compression = { codec, level: 1 };
    const { output, chunks } = await run(inputFor(folder, 'file', { compression }));
    t.is(chunks.length, 4);
    t.true(joined(chunks, codec, CONTENT.length).equals(CONTENT));
    t.deepEqual(Buffer.from(output.digest), sha256(CONTENT));
    t.like(output, { failure: '', sizeBytes: CONTENT.length, hasChanged: false });
  }
});

test('a part of a file has a digest of its own', async (t) => {
  const folder = scratch(t);
  fs.writeFileSync(path.join(folder, 'file'), CONTENT);
  const ranges: [number, number, number][] = [
    [0, MIB, MIB],
    [MIB + 5, 2 * MIB, 2 * MIB],
    [3 * MIB, MIB, MIB / 2],
    [CONTENT.length - 1, 10, 1],
    [CONTENT.length, 10, 0],
    [CONTENT.length + 100, 10, 0],
  ];
  for (const [offset, bytes, expected] of ranges) {
    const { output, chunks } = await run(inputFor(folder, 'file', { offset, bytes }));
    const part = CONTENT.subarray(offset, offset + bytes);
    t.is(output.sizeBytes, expected, `${offset}`);
    t.true(joined(chunks, Codec.zstd, expected).equals(part));
    t.deepEqual(Buffer.from(output.digest), sha256(part));
  }
});

test('without compression a file is only hashed', async (t) => {
  const folder = scratch(t);
  fs.writeFileSync(path.join(folder, 'file'), CONTENT);
  const { output, chunks } = await run(inputFor(folder, 'file', { compression: undefined }));
  t.is(chunks.length, 0);
  t.deepEqual(Buffer.from(output.digest), sha256(CONTENT));
});

test('a type that never shrinks is not compressed', async (t) => {
  const folder = scratch(t);
  fs.writeFileSync(path.join(folder, 'film.MKV'), Buffer.alloc(MIB));
  const { chunks } = await run(inputFor(folder, 'film.MKV'));
  t.like(readChunkHeader(chunks[0]!, STREAM_CHUNK_BYTES), { isRaw: true, storedBytes: MIB });
});

test('the row is that of the file as it was opened', async (t) => {
  const folder = scratch(t);
  const file = written(folder, 'file', 'listed');
  const input = inputFor(folder, 'file');
  fs.writeFileSync(file, CONTENT);
  fs.chmodSync(file, 0o604);
  const { output } = await run(input);
  const [entry] = entriesOf(output.row);
  const stat = fs.statSync(file, { bigint: true });
  t.like(entry, {
    sizeBytes: CONTENT.length,
    permissions: 0o604,
    mtimeNs: stat.mtimeNs,
    ctimeNs: stat.ctimeNs,
    flags: 0,
  });
  t.false(output.hasChanged);
});

const CHANGES: [string, (file: string) => void][] = [
  ['grows', (file) => fs.appendFileSync(file, 'more')],
  ['shrinks', (file) => fs.truncateSync(file, MIB + 7)],
  ['is written to', (file) => fs.utimesSync(file, 5, 5)],
  ['is replaced in place', (file) => fs.writeFileSync(file, CONTENT)],
  [
    'is written to, and its time put back,',
    (file) => {
      fs.writeFileSync(file, CONTENT);
      fs.utimesSync(file, 1000, 1000);
    },
  ],
];

for (const [what, change] of CHANGES) {
  test(`a file that ${what} while it is read is flagged`, async (t) => {
    const folder = scratch(t);
    const file = written(folder, 'file', CONTENT);
    fs.utimesSync(file, 1000, 1000);
    const { output, chunks } = await run(inputFor(folder, 'file'), (chunk) => {
      if (chunk === 2) change(file);
    });
    t.true(output.hasChanged);
    const flags = RowFlag.changedWhileRead | RowFlag.unsettled;
    t.is(new RowReader(output.row).flags(0), flags);
    const read = joined(chunks, Codec.zstd, output.sizeBytes);
    t.deepEqual(Buffer.from(output.digest), sha256(read), 'what was read is what is told');
  });
}

test('a file that was changed a moment ago is read again next time', async (t) => {
  const folder = scratch(t);
  const file = written(folder, 'file', 'content');
  const nowMs = Number(fs.statSync(file, { bigint: true }).ctimeNs / 1_000_000n);
  const system = systemWith({}, { ...systemClock, nowMs: () => nowMs + 1000 });
  const { output } = await run(inputFor(folder, 'file'), undefined, system);
  t.is(new RowReader(output.row).flags(0), RowFlag.unsettled);
  t.false(output.hasChanged);
});

test('a file that cannot be read gives the reason, and leaves nothing open', async (t) => {
  const folder = scratch(t);
  fs.writeFileSync(path.join(folder, 'file'), 'x');
  fs.symlinkSync('file', path.join(folder, 'link'));
  fs.mkdirSync(path.join(folder, 'sub'));
  let open = 0;
  const system = systemWith({
    openListed: (...values) => {
      const fd = native.openListed(...values);
      open += 1;
      return fd;
    },
    openListedAt: (...values) => {
      const fd = native.openListedAt(...values);
      open += 1;
      return fd;
    },
    close: (fd) => {
      open -= 1;
      native.close(fd);
    },
  });
  const failureOf = async (directory: string, name: string): Promise<string> => {
    const { row } = listedFile(path.join(folder, 'file'), name);
    const input = { ...inputFor(folder, 'file'), row };
    const directoryPath = Buffer.from(directory);
    return (await run({ ...input, directoryPath }, undefined, system)).output.failure;
  };
  t.is(await failureOf(folder, 'file'), '');
  t.is(await failureOf(folder, 'none'), 'ENOENT');
  t.is(await failureOf(folder, 'link'), 'ELOOP');
  t.is(await failureOf(folder, 'sub'), 'ENOTREG');
  t.is(await failureOf(path.join(folder, 'none'), 'file'), 'ENOENT');
  t.is(open, 0);
});

test('a reader runs ahead of the taker of its chunks by a window, and no further', async (t) => {
  const folder = scratch(t);
  fs.writeFileSync(path.join(folder, 'file'), Buffer.alloc(6 * MIB));
  const waiting: (() => void)[] = [];
  let given = 0;
  const jobs = new InlineJobs(systemWith());
  const done = jobs.runRange(inputFor(folder, 'file'), 3, () => {
    given += 1;
    return new Promise((resolve) => waiting.push(resolve));
  });
  for (let taken = 0; taken < 6; taken += 1) {
    await settle();
    t.is(given, Math.min(6, taken + 3));
    waiting[taken]!();
  }
  t.is((await done).sizeBytes, 6 * MIB);
});

test('when the chunks cannot be taken the reading fails, and the next job runs', async (t) => {
  const folder = scratch(t);
  fs.writeFileSync(path.join(folder, 'file'), CONTENT);
  const jobs = new InlineJobs(systemWith());
  const failing = jobs.runRange(inputFor(folder, 'file'), 1, () =>
    Promise.reject(new Error('the peer is gone')),
  );
  t.regex((await t.throwsAsync(failing)).message, /the peer is gone/);
  const whole = await jobs.runRange(inputFor(folder, 'file'), 1, () => Promise.resolve());
  t.is(whole.sizeBytes, CONTENT.length);
});

async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}
