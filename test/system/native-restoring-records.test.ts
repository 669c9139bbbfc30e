/** `restoreFiles`: files of several records, which it reads and decodes in this thread or on another one. */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import {
  BODY_BYTES,
  BodyOffset,
  FETCHED_BODY,
  LEFT_NUMBERS,
  NO_BODY_CIPHER,
  RestoreCount,
} from '../../src/system/index.js';
import { native, openFolder, rowLike } from '../helpers/native.js';
import { sha256 } from '../helpers/rows.js';
import { scratch } from '../helpers/scratch.js';

const NONE = Buffer.alloc(0);
const bytesOf = (numbers: Uint32Array | Float64Array): Uint8Array => new Uint8Array(numbers.buffer);

const FILES_OF_RECORD = 3;
const FILE_BYTES = 500;

/** Two records of three files each, in one pack: the first is compressed with zstd, the second is not compressed. */
class Job {
  readonly folder: string;
  readonly counts = new Float64Array(RestoreCount.numbers);
  readonly bodies = Buffer.alloc(2 * BODY_BYTES);
  /** The bodies of both records. */
  readonly fetched: Buffer;
  readonly contents = Array.from({ length: 2 * FILES_OF_RECORD }, () => randomBytes(FILE_BYTES));
  private readonly rootFd: number;
  rows: Buffer;
  private readonly places: Uint32Array;

  /** With `isFetched`, the bodies are in memory, and the pack is empty. */
  constructor(t: ExecutionContext, isFetched: boolean) {
    const home = scratch(t);
    this.folder = path.join(home, 'out');
    fs.mkdirSync(path.join(this.folder, 'sub'), { recursive: true });
    this.rootFd = openFolder(t, this.folder);
    this.rows = Buffer.concat(
      this.contents.map((bytes, index) =>
        rowLike({ name: Buffer.from(`f${index}`), sizeBytes: FILE_BYTES, digest: sha256(bytes) }),
      ),
    );
    this.places = Uint32Array.from(
      this.contents.flatMap((_, index) => {
        const record = Math.floor(index / FILES_OF_RECORD);
        return [index % 2, record, (index % FILES_OF_RECORD) * FILE_BYTES, 0];
      }),
    );
    const raw = [0, 1].map((record) =>
      Buffer.concat(this.contents.slice(record * FILES_OF_RECORD, (record + 1) * FILES_OF_RECORD)),
    );
    const stored = [zstdCompressSync(raw[0]!), raw[1]!];
    const pack = path.join(home, 'pack');
    this.fetched = Buffer.concat(stored);
    fs.writeFileSync(pack, isFetched ? '' : this.fetched);
    const fd = fs.openSync(pack, 'r');
    t.teardown(() => fs.closeSync(fd));
    for (const [record, body] of stored.entries()) {
      const at = record * BODY_BYTES;
      this.bodies.writeDoubleLE(record === 0 ? 0 : stored[0]!.length, at + BodyOffset.position);
      this.bodies.writeDoubleLE(body.length, at + BodyOffset.storedBytes);
      this.bodies.writeUInt32LE(raw[record]!.length, at + BodyOffset.decodedBytes);
      this.bodies.writeUInt32LE(record === 0 ? 1 : 0, at + BodyOffset.codec);
      this.bodies.writeUInt32LE(NO_BODY_CIPHER, at + BodyOffset.cipher);
      this.bodies.writeInt32LE(isFetched ? FETCHED_BODY : fd, at + BodyOffset.fd);
    }
  }

  /** Returns the indexes of the files that need a decision. */
  async run(bodies = this.bodies, isAsync = true): Promise<number[]> {
    const undecided = new Uint32Array(2 * FILES_OF_RECORD * LEFT_NUMBERS);
    const refused = await native.restoreFiles(
      this.rootFd,
      Buffer.from('sub'),
      bytesOf(Uint32Array.of(0, 3)),
      this.rows,
      bytesOf(this.places),
      bodies,
      NONE,
      NONE,
      0,
      NONE,
      this.fetched,
      bytesOf(undecided),
      bytesOf(this.counts),
      isAsync,
    );
    if (refused !== undefined) throw new Error('the system refused metadata');
    const left = undecided.subarray(0, this.counts[RestoreCount.undecided]! * LEFT_NUMBERS);
    return [...left].filter((_, index) => index % LEFT_NUMBERS === 0);
  }

  /** Returns the indexes of the files that are there. */
  written(): number[] {
    const isThere = (_: Buffer, index: number): boolean => fs.existsSync(this.fileAt(index));
    return this.contents.flatMap((bytes, index) => (isThere(bytes, index) ? [index] : []));
  }

  fileAt(index: number): string {
    return path.join(this.folder, index % 2 === 0 ? '' : 'sub', `f${index}`);
  }
}

/** Returns the open directories below a folder. Other tests open others meanwhile. */
function openBelow(folder: string): string[] {
  const links = fs.readdirSync('/proc/self/fd').map((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return ''; // it is closed by now
    }
  });
  return links.filter((at) => at.startsWith(`${folder}/`));
}

const ALL = [0, 1, 2, 3, 4, 5];
const filesOf = (record: number): number[] => (record === 0 ? [0, 1, 2] : [3, 4, 5]);

for (const [isFetched, isAsync] of [
  [false, true],
  [true, true],
  [false, false],
  [true, false],
] as const) {
  const where = `${isFetched ? ', which are in memory' : ''}${isAsync ? '' : ', in this thread'}`;
  test(`writes the files of all records${where}, and closes the directories`, async (t) => {
    const job = new Job(t, isFetched);
    t.deepEqual(await job.run(job.bodies, isAsync), []);
    t.deepEqual(openBelow(job.folder), []);
    t.is(job.counts[RestoreCount.writtenBytes], 6 * FILE_BYTES);
    for (const [index, bytes] of job.contents.entries()) {
      t.true(fs.readFileSync(job.fileAt(index)).equals(bytes));
    }
  });
}

/** Changes of a record's body after which its files need a decision. */
const FAULTS: Readonly<Record<string, (bodies: Buffer, at: number) => void>> = {
  'has no descriptor': (bodies, at) => bodies.writeInt32LE(-1, at + BodyOffset.fd),
  'has a descriptor that is not open': (bodies, at) =>
    bodies.writeInt32LE(99_999, at + BodyOffset.fd),
  'is longer than its file': (bodies, at) =>
    bodies.writeDoubleLE(1 << 20, at + BodyOffset.storedBytes),
  'is not a number of bytes': (bodies, at) =>
    bodies.writeDoubleLE(Number.NaN, at + BodyOffset.storedBytes),
  'has a negative position': (bodies, at) => bodies.writeDoubleLE(-1, at + BodyOffset.position),
  'decodes to another length': (bodies, at) =>
    bodies.writeUInt32LE(FILE_BYTES, at + BodyOffset.decodedBytes),
  'claims too much': (bodies, at) =>
    bodies.writeUInt32LE(0xffff_ffff, at + BodyOffset.decodedBytes),
  'has an unknown codec': (bodies, at) => bodies.writeUInt32LE(9, at + BodyOffset.codec),
  'is not encrypted with this key': (bodies, at) => bodies.writeUInt32LE(0, at + BodyOffset.cipher),
  'claims bytes that are not given': (bodies, at) =>
    bodies.writeUInt32LE(5, at + BodyOffset.alsoBytes),
};

for (const [what, change] of Object.entries(FAULTS)) {
  for (const [record, isFetched] of [
    [0, false],
    [1, false],
    [0, true],
    [1, true],
  ] as const) {
    const where = isFetched ? ' is in memory and' : '';
    test(`the files of record ${record} need a decision if its body${where} ${what}`, async (t) => {
      const job = new Job(t, isFetched);
      const bodies = Buffer.from(job.bodies);
      change(bodies, record * BODY_BYTES);
      t.deepEqual(await job.run(bodies), filesOf(record));
      t.deepEqual(job.written(), filesOf(1 - record));
      // Nothing of the others is in the way.
      t.deepEqual(await job.run(), filesOf(1 - record));
      t.deepEqual(job.written(), ALL);
    });
  }
}

test('the files of a record that is not given need a decision', async (t) => {
  const job = new Job(t, false);
  t.deepEqual(await job.run(job.bodies.subarray(0, BODY_BYTES)), filesOf(1));
  t.deepEqual(job.written(), filesOf(0));
});

for (const isAsync of [false, true]) {
  test(`a malformed row is refused, ${isAsync ? 'on another' : 'in this'} thread`, async (t) => {
    const job = new Job(t, false);
    job.rows = job.rows.subarray(0, job.rows.length - 1);
    await t.throwsAsync(job.run(job.bodies, isAsync), { code: 'EINVAL' });
  });
}
