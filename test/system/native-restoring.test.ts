/** `restoreFiles`: many files in one call, and a list of those that need a decision. */
import { execFileSync } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type Entry, RowFlag } from '../../src/model/index.js';
import {
  BODY_BYTES,
  BodyOffset,
  FETCHED_BODY,
  LEFT_NUMBERS,
  MetadataOption,
  NO_BODY_CIPHER,
  refusedOfFiles,
  RestoreCount,
} from '../../src/system/index.js';
import { NO_RECORD, PLACE_NUMBERS, RestoreHow } from '../../src/workers/index.js';
import { failing, inChild, native, openFolder, rowLike } from '../helpers/native.js';
import { sha256 } from '../helpers/rows.js';
import { scratch } from '../helpers/scratch.js';

interface TestFile {
  readonly name: string | Buffer;
  readonly bytes: Buffer;
  /** Index of the directory; 0 by default. */
  readonly directory?: number;
  readonly record?: number;
  readonly how?: number;
  readonly row?: Partial<Entry>;
}

const bytesOf = (numbers: Uint32Array | Float64Array): Uint8Array => new Uint8Array(numbers.buffer);

/** Returns the description of a record that is not compressed, at the beginning of the fetched bytes. */
function bodyOf(bytes: number): Buffer {
  const body = Buffer.alloc(BODY_BYTES);
  body.writeDoubleLE(bytes, BodyOffset.storedBytes);
  body.writeUInt32LE(bytes, BodyOffset.decodedBytes);
  body.writeUInt32LE(NO_BODY_CIPHER, BodyOffset.cipher);
  body.writeInt32LE(FETCHED_BODY, BodyOffset.fd);
  return body;
}

/** A job whose contents are in record 0. Its directories are the target itself, `sub` and `sub/deep`. */
class Job {
  readonly folder: string;
  readonly rootFd: number;
  readonly counts = new Float64Array(RestoreCount.numbers);
  /** Attributes that the system refused. */
  refused: ReturnType<typeof refusedOfFiles> = [];
  readonly rows: Buffer;
  readonly places: Uint32Array;
  readonly decoded: Buffer;
  key: Uint8Array = new Uint8Array(0);

  constructor(t: ExecutionContext, files: readonly TestFile[], key?: Buffer) {
    this.folder = scratch(t);
    this.rootFd = openFolder(t, this.folder);
    fs.mkdirSync(path.join(this.folder, 'sub', 'deep'), { recursive: true });
    if (key !== undefined) this.key = key;
    let offset = 0;
    this.rows = Buffer.concat(
      files.map(({ name, bytes, record, row }) => {
        const digest = record === NO_RECORD ? undefined : this.digestOf(bytes);
        return rowLike({ name: Buffer.from(name), sizeBytes: bytes.length, digest, ...row });
      }),
    );
    this.places = Uint32Array.from(
      files.flatMap(({ directory = 0, record = 0, how = 0, bytes }) => {
        const place = [directory, record, offset, how];
        offset += bytes.length;
        return place;
      }),
    );
    this.decoded = Buffer.concat(files.map(({ bytes }) => bytes));
  }

  private digestOf(bytes: Buffer): Buffer {
    const hash = sha256(bytes);
    return this.key.length === 0 ? hash : createHmac('sha256', this.key).update(hash).digest();
  }

  /** Runs the call. Returns the indexes of the files that need a decision. */
  run(
    changes: {
      rows?: Buffer;
      directories?: Buffer;
      options?: number;
      copiedNames?: Buffer;
      undecided?: Uint32Array;
    } = {},
  ): number[] {
    const {
      undecided = new Uint32Array((this.places.length / PLACE_NUMBERS) * LEFT_NUMBERS),
      rows = this.rows,
    } = changes;
    const refused = native.restoreFiles(
      this.rootFd,
      changes.directories ?? Buffer.from('subsub/deep'),
      bytesOf(Uint32Array.of(0, 3, 11)),
      rows,
      bytesOf(this.places),
      bodyOf(this.decoded.length),
      Buffer.alloc(0),
      this.key,
      changes.options ?? MetadataOption.dropInherited,
      changes.copiedNames ?? Buffer.alloc(0),
      this.decoded,
      bytesOf(undecided),
      bytesOf(this.counts),
      false,
    );
    this.refused = refusedOfFiles(refused as Buffer | undefined);
    const left: number[] = [];
    for (let count = 0; count < this.counts[RestoreCount.undecided]!; count += 1) {
      const [file, rowAt] = undecided.subarray(count * LEFT_NUMBERS) as unknown as [number, number];
      if (rows.readUInt32LE(rowAt) > rows.length - rowAt) throw new Error('no row begins there');
      left.push(file);
    }
    return left;
  }

  names(): string[] {
    return fs.readdirSync(this.folder, { recursive: true, encoding: 'utf8' }).sort();
  }
}

const plain = (name: string | Buffer, more: Partial<TestFile> = {}): TestFile => ({
  name,
  bytes: randomBytes(100 + name.length),
  ...more,
});

for (const key of [undefined, randomBytes(32)]) {
  test(`writes bytes and metadata of many files, ${key ? 'keyed' : 'plain'} digests`, (t) => {
    const mtimeNs = -86_400_000_000_001n;
    const files = [
      plain('one', { row: { permissions: 0o4751, mtimeNs } }),
      { name: 'empty', bytes: Buffer.alloc(0), record: NO_RECORD, directory: 2 },
      plain(Buffer.from([0xff, 1]), { directory: 1 }),
      plain('deep', { directory: 2 }),
      plain('again', { directory: 1 }),
    ];
    const job = new Job(t, files, key);
    t.deepEqual(job.run(), []);
    t.is(job.counts[RestoreCount.files], 5);
    t.is(job.counts[RestoreCount.writtenBytes], job.decoded.length);
    const directories = ['', 'sub/', 'sub/deep/'];
    for (const { name, bytes, directory = 0 } of files) {
      const file = Buffer.concat([
        Buffer.from(`${job.folder}/${directories[directory]}`),
        Buffer.from(name),
      ]);
      t.true(fs.readFileSync(file).equals(bytes));
    }
    const stat = fs.statSync(path.join(job.folder, 'one'), { bigint: true });
    t.deepEqual([stat.mode & 0o7777n, stat.mtimeNs], [0o4751n, mtimeNs]);
    t.deepEqual(job.run(), [0, 1, 2, 3, 4]);
  });
}

/** Kinds of the second of three files that need a decision. */
const DECISIONS: readonly (readonly [what: string, second: TestFile, before?: string])[] = [
  ['a taken name', plain('taken'), 'taken'],
  ['a link of that name', plain('link'), 'link'],
  ['a file to be compared', plain('how', { how: 2 })],
  ['a sparse file', plain('sparse', { row: { flags: RowFlag.sparse } })],
  ['malformed attributes', plain('attributes', { row: { attributes: Buffer.alloc(8, 1) } })],
  ['a wrong digest', plain('digest', { row: { digest: Buffer.alloc(32) } })],
  ['no digest', plain('none', { row: { digest: undefined } })],
  ['a size beyond the record', plain('size', { row: { sizeBytes: 2 ** 40 } })],
  ['a path as its name', plain('sub/x')],
  ['the parent as its name', plain('..')],
  ['an empty name', plain('')],
  ['a NUL in its name', plain('a\0b')],
  ['a name that is too long', plain('x'.repeat(300))],
  ['an unknown directory', plain('where', { directory: 3 })],
];

for (const [what, second, before] of DECISIONS) {
  test(`leaves a file that needs a decision: ${what}`, (t) => {
    const job = new Job(t, [plain('first'), second, plain('third')]);
    if (before === 'link') fs.symlinkSync('sub/elsewhere', path.join(job.folder, before));
    else if (before !== undefined) fs.writeFileSync(path.join(job.folder, before), 'mine');
    const found = job.names();
    t.deepEqual(job.run(), [1]);
    t.deepEqual(job.names(), [...found, 'first', 'third'].sort());
    t.is(job.counts[RestoreCount.writtenBytes], 210);
    if (before === 'taken') t.is(fs.readFileSync(path.join(job.folder, 'taken'), 'utf8'), 'mine');
  });
}

test('leaves a file in another record, of which nothing is known', (t) => {
  const job = new Job(t, [plain('first'), plain('second', { record: 1 }), plain('third')]);
  t.deepEqual(job.run(), [1]);
  t.deepEqual(job.names(), ['first', 'sub', 'sub/deep', 'third']);
});

test('writes a file with attributes, and returns those that the system refuses', (t) => {
  const [kept, refused] = ['user.kept', 'nothing.of.this.name'].map((name) => {
    const head = Buffer.alloc(6);
    head.writeUInt16LE(name.length, 0);
    head.writeUInt32LE(5, 2);
    return Buffer.concat([head, Buffer.from(`${name}value`)]);
  });
  const attributes = Buffer.concat([refused!, kept!]);
  const job = new Job(t, [plain('first'), plain('second', { row: { attributes } })]);
  t.deepEqual(job.run(), []);
  const [{ file, attribute }] = job.refused as [(typeof job.refused)[0]];
  t.deepEqual([job.refused.length, file], [1, 1]);
  t.deepEqual(attribute, { name: 'nothing.of.this.name', code: 'ENOTSUP' });
  const read = execFileSync('getfattr', ['--only-values', '-n', 'user.kept', 'second'], {
    cwd: job.folder,
  });
  t.is(read.toString(), 'value');
});

test('follows no link to a directory, and leaves the target by no path', (t) => {
  const outside = scratch(t);
  const files = [plain('first'), plain('second', { directory: 2 })];
  const linked = new Job(t, files);
  fs.rmdirSync(path.join(linked.folder, 'sub', 'deep'));
  fs.symlinkSync(outside, path.join(linked.folder, 'sub', 'deep'));
  t.deepEqual(linked.run(), [1]);
  const through = new Job(t, files);
  fs.rmSync(path.join(through.folder, 'sub'), { recursive: true });
  fs.mkdirSync(path.join(outside, 'deep'));
  fs.symlinkSync(outside, path.join(through.folder, 'sub'));
  t.deepEqual(through.run(), [1]);
  for (const way of ['sub/../..', '/tmp/////', '../sub//']) {
    const directories = Buffer.from(`sub${way.padEnd(8, '/').slice(0, 8)}`);
    t.deepEqual(new Job(t, files).run({ directories }), [1], way);
  }
  t.deepEqual(fs.readdirSync(outside, { recursive: true }), ['deep']);
});

test('malformed arguments are refused', (t) => {
  const job = new Job(t, [plain('first'), plain('second')]);
  const half = job.rows.length / 2;
  const refuse = (changes: Parameters<Job['run']>[0]): boolean =>
    t.is(failing(() => job.run(changes)).code, 'EINVAL');
  refuse({ rows: job.rows.subarray(0, half + 60) });
  refuse({ rows: Buffer.alloc(0) });
  refuse({ undecided: new Uint32Array(3) });
  job.key = new Uint8Array(31);
  refuse({});
});

test('a file that cannot be written whole is removed, and needs a decision', (t) => {
  const job = new Job(t, [plain('first'), { name: 'half', bytes: Buffer.alloc(100_000) }]);
  const body = bodyOf(job.decoded.length);
  const all = [job.rows, Buffer.from(bytesOf(job.places)), job.decoded, body];
  const values = all.map((bytes, index) => {
    const file = path.join(scratch(t), String(index));
    fs.writeFileSync(file, bytes);
    return file;
  });
  const output = inChild(
    `const [rows, places, decoded, body] = values.slice(1).map((file) => fs.readFileSync(file));
     const [counts, undecided] = [new Float64Array(3), new Uint32Array(4)];
     const bytes = (numbers) => new Uint8Array(numbers.buffer);
     const none = Buffer.alloc(0);
     native.restoreFiles(native.openDirectory(Buffer.from(values[0])), none,
       bytes(Uint32Array.of(0)), rows, places, body, none, none, 0, none, decoded,
       bytes(undecided), bytes(counts), false);
     process.stdout.write([...counts, ...undecided].join(' '));`,
    [job.folder, ...values],
    'ulimit -f 8;',
  );
  const half = rowLike({ name: Buffer.from('half'), digest: Buffer.alloc(32) }).length;
  t.is(output, `1 105 1 1 ${job.rows.length - half} 0 0`);
  t.deepEqual(job.names(), ['first', 'sub', 'sub/deep']);
});

/** A copy of a file in the directory with the number `from`, whose name is at `nameAt` in the names. */
interface Copied {
  readonly name: string;
  readonly bytes: Buffer;
  readonly from: number;
  readonly nameAt: number;
}

/** Returns a job that copies. The digests of the rows are those of `bytes`. */
function copying(t: ExecutionContext, copies: readonly Copied[], key?: Buffer): Job {
  const job = new Job(
    t,
    copies.map((copy) => ({ ...copy, record: 0 })),
    key,
  );
  const places = copies.flatMap(({ from, nameAt }) => [0, from, nameAt, COPIED]);
  job.places.set(places);
  return job;
}

const COPIED = RestoreHow.copied;

for (const key of [undefined, randomBytes(32)]) {
  test(`copies files that were written before, ${key ? 'keyed' : 'plain'} digests`, (t) => {
    const [one, two] = [randomBytes(300), randomBytes(70_000)];
    const copies = [
      { name: 'copy-1', bytes: one, from: 0, nameAt: 0 },
      { name: 'copy-2', bytes: two, from: 2, nameAt: 4 },
      { name: 'copy-3', bytes: one, from: 0, nameAt: 0 },
    ];
    const job = copying(t, copies, key);
    fs.writeFileSync(path.join(job.folder, 'one'), one);
    fs.writeFileSync(path.join(job.folder, 'sub/deep/two'), two);
    t.deepEqual(job.run({ copiedNames: Buffer.from('one\0two\0') }), []);
    for (const { name, bytes } of copies) {
      t.deepEqual(fs.readFileSync(path.join(job.folder, name)), bytes);
    }
  });
}

const HOSTILE: Readonly<Record<string, (folder: string, bytes: Buffer) => string>> = {
  'is missing': () => 'none',
  'has other bytes': (folder, bytes) => {
    fs.writeFileSync(path.join(folder, 'other'), Buffer.from(bytes).fill(1, 5, 6));
    return 'other';
  },
  'is shorter': (folder, bytes) => {
    fs.writeFileSync(path.join(folder, 'short'), bytes.subarray(1));
    return 'short';
  },
  'is longer': (folder, bytes) => {
    fs.writeFileSync(path.join(folder, 'long'), Buffer.concat([bytes, Buffer.of(1)]));
    return 'long';
  },
  'is a link': (folder, bytes) => {
    fs.writeFileSync(path.join(folder, 'target'), bytes);
    fs.symlinkSync('target', path.join(folder, 'link'));
    return 'link';
  },
  'is a fifo': (folder) => {
    execFileSync('mkfifo', [path.join(folder, 'fifo')]);
    return 'fifo';
  },
  'is a directory': () => 'sub',
  'is above the target': (folder, bytes) => {
    fs.writeFileSync(path.join(folder, '../above'), bytes);
    return '../above';
  },
  'has no name': () => '',
};

for (const [what, make] of Object.entries(HOSTILE)) {
  test(`a file is not copied if its original ${what}`, (t) => {
    const bytes = randomBytes(300).fill(7, 5, 6);
    const job = copying(t, [{ name: 'copy', bytes, from: 0, nameAt: 0 }]);
    const name = make(job.folder, bytes);
    t.deepEqual(job.run({ copiedNames: Buffer.from(`${name}\0`) }), [0]);
    t.false(fs.existsSync(path.join(job.folder, 'copy')));
  });
}

test('a file is not copied if the position of a name or a directory does not exist', (t) => {
  const bytes = randomBytes(300);
  for (const [from, nameAt] of [
    [0, 5],
    [0, 0xffff_ffff],
    [9, 0],
    [0xffff_ffff, 0],
  ] as const) {
    const job = copying(t, [{ name: 'copy', bytes, from, nameAt }]);
    fs.writeFileSync(path.join(job.folder, 'one'), bytes);
    t.deepEqual(job.run({ copiedNames: Buffer.from('one\0') }), [0]);
    t.false(fs.existsSync(path.join(job.folder, 'copy')));
  }
});
