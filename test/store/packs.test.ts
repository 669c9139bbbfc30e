import { crc32 } from 'node:zlib';
import test from 'ava';
import * as fc from 'fast-check';
import {
  type Backend,
  bodyChecksumOf,
  buildRecord,
  Codec,
  type Covered,
  LABEL_BYTES,
  listPacks,
  objectName,
  type ObjectWriter,
  packName,
  packNumber,
  PackWriter,
  readRecord,
  RECORD_HEADER_BYTES,
  RecordKind,
  scanPack,
  type ScannedRecord,
} from '../../src/store/index.js';
import { MemoryBackend } from '../support/memory-backend.js';
import { rejectedCode, thrownCode } from '../helpers/codes.js';
import { sha256 } from '../helpers/rows.js';

/** The CRC-32 of bytes that end in their own CRC-32 is always the same. So the header's own checksum is left out. */
const HEADER_CHECKSUM_AT = 68;

function recordOf(text: string, index = ''): Buffer {
  const body = Buffer.from(text);
  const header = { kind: RecordKind.event, codec: Codec.none, rawBytes: body.length };
  return buildRecord(header, Buffer.from(index), body);
}

function headersChecksum(records: readonly Buffer[]): number {
  return records.reduce((sum, record) => crc32(record.subarray(0, HEADER_CHECKSUM_AT), sum), 0);
}

async function scanAll(backend: Backend, pack: number, position = 0): Promise<ScannedRecord[]> {
  const found: ScannedRecord[] = [];
  for await (const record of scanPack(backend, pack, position)) found.push(record);
  return found;
}

async function* piecesOf(record: Buffer, bytes: number): AsyncGenerator<Buffer> {
  const reused = Buffer.alloc(bytes);
  for (let at = 0; at < record.length; at += bytes) {
    yield reused.subarray(0, record.copy(reused, 0, at, at + bytes));
  }
}

/** Returns a backend with one pack of these bytes. */
function packOf(bytes: Buffer, pack = 1): Backend {
  const backend = new MemoryBackend();
  const writer = backend.create(packName(pack));
  writer.append(bytes);
  writer.close();
  return backend;
}

test('a record is found again where the writer put it', async (t) => {
  const backend = new MemoryBackend();
  const packs = new PackWriter(backend, 0, 400);
  const texts = Array.from({ length: 12 }, (_, at) => `event number ${at}`.repeat(1 + (at % 3)));
  const records = texts.map((text) => recordOf(text));
  const locations = records.map((record) => packs.append(record));
  await packs.sync();
  for (const [at, { pack, position }] of locations.entries()) {
    const { length } = records[at]!;
    const { body } = await readRecord(backend, packName(pack), position, length);
    t.is(body.toString(), texts[at]!);
  }
  const labels = locations.at(-1)!.pack * LABEL_BYTES;
  t.is(packs.appendedBytes, labels + Buffer.concat(records).length);
  packs.close();
});

test('a pack that has twice its size is followed by the next number', async (t) => {
  const backend = new MemoryBackend();
  const packs = new PackWriter(backend, 6, 100);
  const record = recordOf('x'.repeat(28)); // 100 bytes
  const used = Array.from({ length: 5 }, () => packs.append(record).pack);
  t.deepEqual(used, [7, 7, 8, 8, 9]);
  await packs.sync();
  packs.close();
  t.deepEqual(await listPacks(backend), [7, 8, 9]);
  t.is(await backend.size(packName(7)), LABEL_BYTES + 200);
});

test('a pack that has reached its size at a commit is followed by the next number', async (t) => {
  const backend = new MemoryBackend();
  const packs = new PackWriter(backend, 0, LABEL_BYTES + 200);
  const record = recordOf('x'.repeat(28)); // 100 bytes
  const commitAfter = (count: number): number[] => {
    const used = Array.from({ length: count }, () => packs.append(record).pack);
    packs.takeRanges();
    return [...used, packs.appendCommit(recordOf('commit')).pack];
  };
  t.deepEqual(commitAfter(1), [1, 1]);
  t.deepEqual(commitAfter(2), [1, 1, 1], 'one pack for each checkpoint');
  t.deepEqual(commitAfter(1), [2, 2]);
  packs.close();
  t.deepEqual(await listPacks(backend), [1, 2]);
});

/** A backend whose writers fail after half of the bytes to append. */
class FullBackend extends MemoryBackend {
  isFull = false;
  canCut = true;

  override create(name: string): ObjectWriter {
    const writer = super.create(name);
    const append = writer.append.bind(writer);
    const cut = writer.cut.bind(writer);
    return Object.assign(writer, {
      append: (bytes: Uint8Array) => {
        append(this.isFull ? bytes.subarray(0, bytes.length / 2) : bytes);
        if (this.isFull) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
      },
      cut: (sizeBytes: number) => {
        if (!this.canCut) throw Object.assign(new Error('EIO'), { code: 'EIO' });
        cut(sizeBytes);
      },
    });
  }
}

for (const canCut of [true, false]) {
  test(`after an append that failed nothing stands behind its bytes (cut: ${canCut})`, async (t) => {
    const backend = new FullBackend();
    backend.canCut = canCut;
    const packs = new PackWriter(backend, 0, 10_000);
    const [first, second] = [recordOf('first'), recordOf('second')];
    packs.append(first);
    backend.isFull = true;
    const lost = recordOf('lost '.repeat(20));
    t.is(
      thrownCode(() => packs.append(lost)),
      'ENOSPC',
    );
    await t.throwsAsync(packs.appendStaged(piecesOf(lost, 30)), { code: 'ENOSPC' });
    t.is(
      thrownCode(() => packs.appendCommit(lost)),
      'ENOSPC',
    );
    backend.isFull = false;
    const place = packs.append(second);
    t.is(place.position, LABEL_BYTES + (place.pack === 1 ? first.length : 0));
    t.is(place.pack === 1, canCut);
    const ranges = packs.takeRanges();
    t.is(ranges[0]!.checksum, headersChecksum(canCut ? [first, second] : [first]));
    t.is(
      ranges.at(-1)!.to - ranges.at(-1)!.from + (canCut ? 0 : first.length),
      first.length + second.length,
    );
    packs.appendCommit(recordOf('commit'));
    await packs.sync();
    const found = await scanAll(backend, place.pack);
    t.is(found.length, canCut ? 4 : 3);
    const labels = (canCut ? 1 : 2) * LABEL_BYTES;
    t.is(packs.appendedBytes, labels + first.length + second.length + recordOf('commit').length);
    packs.close();
  });
}

test('the number of a pack is never used again', async (t) => {
  const backend = new MemoryBackend();
  const first = new PackWriter(backend, 0, 1000);
  first.append(recordOf('of a session that crashed'));
  first.close();
  const [last] = await listPacks(backend);
  const second = new PackWriter(backend, last!, 1000);
  t.deepEqual(second.append(recordOf('of the next')), { pack: 2, position: LABEL_BYTES });
  t.is((await scanAll(backend, 1)).length, 2);
  // A writer with a stale highest number must not write to an existing pack.
  const wrong = new PackWriter(backend, 0, 1000);
  const code = thrownCode(() => wrong.append(recordOf('of a confused one')));
  t.is(code, 'EEXIST');
  t.is((await scanAll(backend, 1)).length, 2);
});

test('the ranges of a commit cover what was appended since the last, by its headers', async (t) => {
  const backend = new MemoryBackend();
  const packs = new PackWriter(backend, 0, 300);
  const record = (text: string): Buffer => recordOf(text.padEnd(28)); // 100 bytes
  const first = ['a', 'b', 'c', 'd', 'e', 'g', 'h'].map(record);
  for (const one of first) packs.append(one);
  t.is(packs.uncommittedBytes, 700);
  t.deepEqual(packs.takeRanges(), [
    {
      pack: 1,
      from: LABEL_BYTES,
      to: LABEL_BYTES + 600,
      checksum: headersChecksum(first.slice(0, 6)),
    },
    {
      pack: 2,
      from: LABEL_BYTES,
      to: LABEL_BYTES + 100,
      checksum: headersChecksum(first.slice(6)),
    },
  ]);
  t.is(packs.uncommittedBytes, 0);
  t.not(headersChecksum(first.slice(0, 3)), headersChecksum([first[1]!, first[0]!, first[2]!]));
  t.deepEqual(packs.takeRanges(), []);

  const commit = recordOf('commit');
  t.deepEqual(packs.appendCommit(commit), { pack: 2, position: LABEL_BYTES + 100 });
  t.deepEqual(packs.takeRanges(), [], 'a commit record is in no range');
  const second = record('f');
  packs.append(second);
  t.deepEqual(packs.takeRanges(), [
    {
      pack: 2,
      from: LABEL_BYTES + 100 + commit.length,
      to: LABEL_BYTES + 200 + commit.length,
      checksum: headersChecksum([second]),
    },
  ]);
});

test('a commit record stands in the pack of what it covers, however large that is', (t) => {
  const packs = new PackWriter(new MemoryBackend(), 0, 100);
  packs.append(recordOf('x'.repeat(28)));
  const [range] = packs.takeRanges();
  t.like(range, { pack: 1, from: LABEL_BYTES, to: LABEL_BYTES + 100 });
  const commit = recordOf('commit');
  t.deepEqual(packs.appendCommit(commit), { pack: 1, position: LABEL_BYTES + 100 });
  t.deepEqual(packs.append(recordOf('y')), { pack: 2, position: LABEL_BYTES });
});

test('ranges and scan agree, however records are spread over packs', async (t) => {
  const lengths = fc.array(fc.array(fc.nat(300), { maxLength: 6 }), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(lengths, fc.integer({ min: 1, max: 700 }), async (commits, packBytes) => {
      const backend = new MemoryBackend();
      const packs = new PackWriter(backend, 0, packBytes);
      for (const bodies of commits) {
        for (const bytes of bodies) packs.append(recordOf('x'.repeat(bytes)));
        const ranges = packs.takeRanges();
        for (const { pack, from, to, checksum } of ranges) {
          const within = (await scanAll(backend, pack, from)).filter(
            ({ position }) => position < to,
          );
          t.is(headersChecksum(within.map(({ headerBytes }) => headerBytes)), checksum);
          t.is(await backend.size(packName(pack)), to);
        }
        if (ranges.length > 0) packs.appendCommit(recordOf('commit'));
      }
      packs.close();
    }),
    { numRuns: 50 },
  );
});

test('a staged record is copied whole, and counts as one', async (t) => {
  const backend = new MemoryBackend();
  const packs = new PackWriter(backend, 0, 10_000);
  packs.append(recordOf('before'));
  const record = recordOf('staged '.repeat(100));
  const location = await packs.appendStaged(piecesOf(record, 99));
  packs.append(recordOf('after'));
  t.deepEqual(location, { pack: 1, position: LABEL_BYTES + recordOf('before').length });
  const { body } = await readRecord(backend, packName(1), location.position, record.length);
  t.is(body.toString(), 'staged '.repeat(100));
  const all = [recordOf('before'), record, recordOf('after')];
  t.like(packs.takeRanges()[0], { from: LABEL_BYTES, checksum: headersChecksum(all) });
  t.is((await scanAll(backend, 1)).length, 4);
});

/** Records which writers are synced and closed. */
class WatchedBackend extends MemoryBackend {
  readonly synced: string[] = [];
  readonly closed: string[] = [];
  failingSyncs = 0;

  override create(name: string): ObjectWriter {
    return this.watch(super.create(name), name);
  }

  override stage(): ObjectWriter {
    return this.watch(super.stage(), 'staged');
  }

  private watch(writer: ObjectWriter, name: string): ObjectWriter {
    const sync = writer.sync.bind(writer);
    const close = writer.close.bind(writer);
    return Object.assign(writer, {
      sync: async () => {
        if (this.failingSyncs > 0) {
          this.failingSyncs -= 1;
          throw Object.assign(new Error('EIO: injected'), { code: 'EIO' });
        }
        await sync();
        this.synced.push(name);
      },
      close: () => {
        close();
        this.closed.push(name);
      },
    });
  }
}

test('a sync covers every pack that has new bytes, and no other', async (t) => {
  const backend = new WatchedBackend();
  const packs = new PackWriter(backend, 0, 50);
  const record = recordOf('x'.repeat(28));
  packs.append(record);
  packs.append(record);
  await packs.sync();
  t.deepEqual(backend.synced.splice(0).sort(), [packName(1), packName(2)]);
  t.deepEqual(backend.closed, [packName(1)], 'a full pack is closed once it is durable');
  await packs.sync();
  t.deepEqual(backend.synced, []);
  packs.append(record);
  await packs.sync();
  t.deepEqual(backend.synced.splice(0), [packName(3)]);
  packs.close();
  t.deepEqual(backend.closed, [packName(1), packName(2), packName(3)]);
});

test('a sync that fails is reported, and what it should have covered is not forgotten', async (t) => {
  const backend = new WatchedBackend();
  const packs = new PackWriter(backend, 0, 50);
  packs.append(recordOf('x'.repeat(28)));
  packs.append(recordOf('y'));
  backend.failingSyncs = 2;
  t.is(await rejectedCode(packs.sync()), 'EIO');
  t.deepEqual(backend.closed, []);
  await packs.sync();
  t.deepEqual(backend.synced.sort(), [packName(1), packName(2)]);
});

test('an adopted object gets the name of its digest, and is synced with the packs', async (t) => {
  const backend = new WatchedBackend();
  const packs = new PackWriter(backend, 0, 1000);
  const digest = sha256('content');
  const staged = backend.stage();
  staged.append(recordOf('a large one'));
  packs.adopt(staged, digest);
  t.deepEqual(await listPacks(backend), []);
  t.deepEqual(backend.synced, []);
  await packs.sync();
  t.deepEqual([backend.synced, backend.closed], [['staged'], ['staged']]);
  const hex = digest.toString('hex');
  t.is(objectName(digest), `${hex.slice(0, 2)}/${hex.slice(2, 4)}/${hex}`);
  const { body } = await readRecord(backend, objectName(digest), 0, recordOf('a large one').length);
  t.is(body.toString(), 'a large one');

  const again = backend.stage();
  const code = thrownCode(() => packs.adopt(again, digest));
  t.is(code, 'EEXIST');
});

test('a commit record is built and synced after all that it covers', async (t) => {
  const backend = new WatchedBackend();
  const packs = new PackWriter(backend, 0, 1000);
  const record = recordOf('commit');
  const steps: unknown[] = [];
  const build = async (covered: Covered): Promise<Buffer> => {
    steps.push([...backend.synced].sort(), covered);
    return record;
  };
  const insist = <T>(write: () => T): T => {
    steps.push('insists');
    return write();
  };
  t.is(await packs.commit(build, insist), undefined, 'nothing was appended');
  const first = recordOf('one');
  packs.append(first);
  const [staged, digest] = [backend.stage(), sha256('content')];
  staged.append(recordOf('a large one'));
  t.deepEqual(await packs.adoptNew(staged, digest), { pack: 0, position: 0 });
  t.is(await packs.adoptNew(backend.stage(), digest), undefined, 'no object is replaced');
  const end = LABEL_BYTES + first.length;
  t.deepEqual(await packs.commit(build, insist), {
    pack: 1,
    position: end + record.length,
    checksum: bodyChecksumOf(record),
  });
  const ranges = [{ pack: 1, from: LABEL_BYTES, to: end, checksum: headersChecksum([first]) }];
  const objects = [{ digest, bytes: recordOf('a large one').length }];
  t.deepEqual(steps, [[packName(1), 'staged'], { ranges, objects }, 'insists']);
  t.deepEqual(backend.synced.slice(2), [packName(1)]);
  t.is(await packs.commit(build, insist), undefined, 'all of it is covered');
});

// --- scanning ----------------------------------------------------------------------------------

test('a scan yields header, index and place of every record, from anywhere one starts', async (t) => {
  const records = [recordOf('one', 'first index'), recordOf(''), recordOf('three', 'third')];
  const backend = packOf(Buffer.concat(records));
  const found = await scanAll(backend, 1);
  t.deepEqual(
    found.map(({ position, index }) => [position, index.toString()]),
    [
      [0, 'first index'],
      [records[0]!.length, ''],
      [records[0]!.length + records[1]!.length, 'third'],
    ],
  );
  for (const [at, { headerBytes, header }] of found.entries()) {
    t.deepEqual(headerBytes, records[at]!.subarray(0, RECORD_HEADER_BYTES));
    t.is(header.kind, RecordKind.event);
  }
  t.is((await scanAll(backend, 1, records[0]!.length)).length, 2);
  t.deepEqual(await scanAll(backend, 2), [], 'no such pack');
  t.deepEqual(await scanAll(packOf(Buffer.alloc(0)), 1), []);
});

test('a scan stops where no valid header stands', async (t) => {
  const records = [recordOf('one', 'index'), recordOf('two'), recordOf('three')];
  const whole = Buffer.concat(records);
  const second = records[0]!.length;
  for (let at = second; at < second + RECORD_HEADER_BYTES; at += 1) {
    const damaged = Buffer.from(whole);
    damaged[at]! ^= 0x10;
    t.is((await scanAll(packOf(damaged), 1)).length, 1, `byte ${at}`);
  }
  const inBody = Buffer.from(whole);
  inBody[whole.length - 1]! ^= 1;
  t.is((await scanAll(packOf(inBody), 1)).length, 3, 'bodies are the reader’s to check');
  t.is((await scanAll(packOf(whole), 1, 1)).length, 0, 'no record starts there');
});

test('a scan of a pack cut at any length yields the records that are whole', async (t) => {
  const records = [recordOf('one', 'index'), recordOf('two'), recordOf('three', 'x')];
  const whole = Buffer.concat(records);
  const ends = records.map((_, at) => Buffer.concat(records.slice(0, at + 1)).length);
  for (let length = 0; length <= whole.length; length += 1) {
    const found = await scanAll(packOf(whole.subarray(0, length)), 1);
    t.is(found.length, ends.filter((end) => end <= length).length, `${length}`);
  }
  const unwritten = Buffer.alloc(RECORD_HEADER_BYTES + 50);
  for (const [at, end] of ends.entries()) {
    const bytes = Buffer.concat([whole.subarray(0, end), unwritten]);
    t.is((await scanAll(packOf(bytes), 1)).length, at + 1, 'and an unwritten tail');
  }
});

test('a scan skips long bodies, and reads on across its own buffer', async (t) => {
  const long = recordOf('x'.repeat(900_000), 'index of the long one');
  const many = Array.from({ length: 2000 }, (_, at) => recordOf(`body ${at}`.repeat(20), `${at}`));
  const backend = packOf(Buffer.concat([long, ...many, long]));
  let readBytes = 0;
  const counting = new Proxy(backend, {
    get(target, key) {
      if (key !== 'read') return Reflect.get(target, key).bind(target) as unknown;
      return async (...values: Parameters<Backend['read']>) => {
        const got = await target.read(...values);
        readBytes += got;
        return got;
      };
    },
  });
  const found = await scanAll(counting, 1);
  t.is(found.length, 2002);
  t.is(found[1001]!.index.toString(), '1000');
  t.is(found.at(-1)!.index.toString(), 'index of the long one');
  const manyBytes = Buffer.concat(many).length;
  t.true(readBytes < manyBytes * 2 + (1 << 20), `${readBytes} read`);
});

test('reading a record that is not all there, or not there, is damage', async (t) => {
  const record = recordOf('body', 'index');
  const backend = packOf(record);
  const read = (name: string, position: number, bytes: number): Promise<string | undefined> =>
    rejectedCode(readRecord(backend, name, position, bytes));
  t.is(await read(packName(1), 0, record.length), undefined);
  t.is(await read(packName(1), 0, record.length + 1), 'RECORD_DAMAGED');
  t.is(await read(packName(1), 0, record.length - 1), 'RECORD_DAMAGED');
  t.is(await read(packName(1), 1, record.length - 1), 'RECORD_DAMAGED');
  t.is(await read(packName(1), 5000, record.length), 'RECORD_DAMAGED');
  t.is(await read(packName(2), 0, record.length), 'RECORD_DAMAGED');
});

test('packs are listed by number, strangers are not', async (t) => {
  const backend = new MemoryBackend();
  for (const pack of [2, 100_000_000, 99_999_999, 1]) backend.create(packName(pack)).close();
  for (const name of ['1.pack', '0000000x.pack', '00000003.pack.old', 'README']) {
    backend.create(`packs/${name}`).close();
  }
  t.deepEqual(await listPacks(backend), [1, 2, 99_999_999, 100_000_000]);
  for (const pack of [1, 99_999_999, 100_000_000]) t.is(packNumber(packName(pack)), pack);
});
