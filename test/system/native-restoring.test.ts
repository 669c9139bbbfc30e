/** `restoreFiles`: many files in one call, up to the first one that needs a decision. */
import { execFileSync } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type Entry, RowFlag } from '../../src/model/index.js';
import { MetadataOption, RestoreCursor } from '../../src/system/native.js';
import { NO_RECORD, RestoreHow } from '../../src/workers/index.js';
import { failing, inChild, native, openFolder, rowLike, sha256 } from '../helpers/native.js';
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

const bytesOf = (numbers: Uint32Array | Int32Array | Float64Array): Uint8Array =>
  new Uint8Array(numbers.buffer);

/** A job whose contents are in record 7. Its directories are the target itself, `sub` and `sub/deep`. */
class Job {
  readonly folder: string;
  readonly rootFd: number;
  readonly fds = new Int32Array(3).fill(-1);
  readonly cursor = new Float64Array(RestoreCursor.numbers);
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
      files.flatMap(({ directory = 0, record = 7, how = 0, bytes }) => {
        const place = [directory, record, offset, how];
        offset += bytes.length;
        return place;
      }),
    );
    this.decoded = Buffer.concat(files.map(({ bytes }) => bytes));
    t.teardown(() => {
      for (const fd of this.fds) if (fd >= 0) native.close(fd);
    });
  }

  private digestOf(bytes: Buffer): Buffer {
    const hash = sha256(bytes);
    return this.key.length === 0 ? hash : createHmac('sha256', this.key).update(hash).digest();
  }

  /** Runs the call from the cursor on. Returns the index of the next file, and if it needs a decision. */
  run(
    changes: { rows?: Buffer; directories?: Buffer; options?: number; copiedNames?: Buffer } = {},
  ): [number, boolean] {
    native.restoreFiles(
      this.rootFd,
      changes.directories ?? Buffer.from('subsub/deep'),
      bytesOf(Uint32Array.of(0, 3, 11)),
      bytesOf(this.fds),
      changes.rows ?? this.rows,
      bytesOf(this.places),
      this.decoded,
      7,
      this.key,
      changes.options ?? MetadataOption.dropInherited,
      bytesOf(this.cursor),
      changes.copiedNames ?? Buffer.alloc(0),
    );
    return [this.cursor[0]!, this.cursor[RestoreCursor.needsDecision] === 1];
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
    t.deepEqual(job.run(), [5, false]);
    t.is(job.cursor[RestoreCursor.rowOffset], job.rows.length);
    t.is(job.cursor[RestoreCursor.writtenBytes], job.decoded.length);
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
    t.deepEqual(job.run(), [5, false]);
  });
}

/** Changes after which the second of three files needs a decision. */
const DECISIONS: readonly (readonly [what: string, second: TestFile, before?: string])[] = [
  ['a taken name', plain('taken'), 'taken'],
  ['a link of that name', plain('link'), 'link'],
  ['a file to be compared', plain('how', { how: 2 })],
  ['a sparse file', plain('sparse', { row: { flags: RowFlag.sparse } })],
  ['attributes', plain('attributes', { row: { attributes: Buffer.alloc(8, 1) } })],
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
  test(`stops before a file that needs a decision: ${what}`, (t) => {
    const job = new Job(t, [plain('first'), second, plain('third')]);
    if (before === 'link') fs.symlinkSync('sub/elsewhere', path.join(job.folder, before));
    else if (before !== undefined) fs.writeFileSync(path.join(job.folder, before), 'mine');
    const found = job.names();
    t.deepEqual(job.run(), [1, true]);
    t.deepEqual(job.names(), [...found, 'first'].sort());
    t.is(job.cursor[RestoreCursor.writtenBytes], 105);
    if (before === 'taken') t.is(fs.readFileSync(path.join(job.folder, 'taken'), 'utf8'), 'mine');
  });
}

test('stops before a file in another record, which needs no decision', (t) => {
  const job = new Job(t, [plain('first'), plain('second', { record: 8 })]);
  t.deepEqual(job.run(), [1, false]);
  t.deepEqual(job.run(), [1, false]);
  t.deepEqual(job.names(), ['first', 'sub', 'sub/deep']);
});

test('follows no link to a directory, and leaves the target by no path', (t) => {
  const outside = scratch(t);
  const files = [plain('first'), plain('second', { directory: 2 })];
  const linked = new Job(t, files);
  fs.rmdirSync(path.join(linked.folder, 'sub', 'deep'));
  fs.symlinkSync(outside, path.join(linked.folder, 'sub', 'deep'));
  t.deepEqual(linked.run(), [1, true]);
  const through = new Job(t, files);
  fs.rmSync(path.join(through.folder, 'sub'), { recursive: true });
  fs.mkdirSync(path.join(outside, 'deep'));
  fs.symlinkSync(outside, path.join(through.folder, 'sub'));
  t.deepEqual(through.run(), [1, true]);
  for (const way of ['sub/../..', '/tmp/////', '../sub//']) {
    const directories = Buffer.from(`sub${way.padEnd(8, '/').slice(0, 8)}`);
    t.deepEqual(new Job(t, files).run({ directories }), [1, true], way);
  }
  t.deepEqual(fs.readdirSync(outside, { recursive: true }), ['deep']);
});

test('a malformed row needs a decision; malformed arguments are refused', (t) => {
  const job = new Job(t, [plain('first'), plain('second')]);
  const half = job.rows.length / 2;
  t.deepEqual(job.run({ rows: job.rows.subarray(0, half + 60) }), [1, true]);
  job.cursor[RestoreCursor.rowOffset] = 2 ** 40;
  t.deepEqual(job.run(), [1, true]);
  for (const wrong of [-1, NaN, -Infinity]) {
    job.cursor[RestoreCursor.file] = wrong;
    t.is(failing(() => job.run()).code, 'EINVAL', String(wrong));
  }
  for (const beyond of [2 ** 53, Infinity]) {
    job.cursor.set([beyond, 0]);
    t.deepEqual(job.run(), [beyond, false]);
  }
  job.cursor.set([0, 0]);
  job.key = new Uint8Array(31);
  t.is(failing(() => job.run()).code, 'EINVAL');
});

test('a file that cannot be written whole is removed, and needs a decision', (t) => {
  const job = new Job(t, [plain('first'), { name: 'half', bytes: Buffer.alloc(100_000) }]);
  const values = [job.rows, Buffer.from(bytesOf(job.places)), job.decoded].map((bytes, index) => {
    const file = path.join(scratch(t), String(index));
    fs.writeFileSync(file, bytes);
    return file;
  });
  const output = inChild(
    `const [rows, places, decoded] = values.slice(1).map((file) => fs.readFileSync(file));
     const cursor = new Float64Array(5);
     const bytes = (numbers) => new Uint8Array(numbers.buffer);
     native.restoreFiles(native.openDirectory(Buffer.from(values[0])), Buffer.alloc(0),
       bytes(Uint32Array.of(0)), bytes(Int32Array.of(-1)), rows, places, decoded, 7,
       Buffer.alloc(0), 0, bytes(cursor), Buffer.alloc(0));
     process.stdout.write(cursor.join(' '));`,
    [job.folder, ...values],
    'ulimit -f 8;',
  );
  t.is(
    output,
    `1 ${job.rows.length - rowLike({ name: Buffer.from('half'), digest: Buffer.alloc(32) }).length} 105 1 0`,
  );
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
    copies.map((copy) => ({ ...copy, record: 7 })),
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
    t.deepEqual(job.run({ copiedNames: Buffer.from('one\0two\0') }), [3, false]);
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
    t.deepEqual(job.run({ copiedNames: Buffer.from(`${name}\0`) }), [0, true]);
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
    t.deepEqual(job.run({ copiedNames: Buffer.from('one\0') }), [0, true]);
    t.false(fs.existsSync(path.join(job.folder, 'copy')));
  }
});
