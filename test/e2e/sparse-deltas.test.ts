// Pace: slow
/** Deltas of files that are mostly holes: images of disks and databases, edited in data and in holes. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { nodeSystem } from '../../src/system/index.js';
import { seededRandom } from '../support/seeded-random.js';
import { backup, backupsRunHere, rest, succeed } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { noise } from '../helpers/tree.js';

backupsRunHere();

const KIB = 1 << 10;
const MIB = 1 << 20;
const CLUSTER_BYTES = 64 * KIB;

/** A sparse file, and the steps that change it. Each step returns the number of bytes that it wrote. */
interface Shape {
  readonly make: (at: string) => void;
  readonly edits: readonly ((at: string) => number)[];
}

/** Writes pieces into a file and returns their length. */
function write(
  at: string,
  pieces: readonly (readonly [position: number, bytes: Buffer])[],
): number {
  const handle = fs.openSync(at, fs.existsSync(at) ? 'r+' : 'w');
  for (const [position, bytes] of pieces) fs.writeSync(handle, bytes, 0, bytes.length, position);
  fs.closeSync(handle);
  return pieces.reduce((sum, [, bytes]) => sum + bytes.length, 0);
}

/** Runs fallocate, which punches holes as a discard of an image's guest does. */
function punch(at: string, ...words: string[]): number {
  const { status, stderr } = spawnSync('fallocate', [...words, at]);
  if (status !== 0) throw new Error(String(stderr));
  return 0;
}

/** A raw image: every fourth MiB has data. */
const RAW: Shape = {
  make(at) {
    const pieces = Array.from(
      { length: 10 },
      (_, n) => [4 * n * MIB, noise(`raw ${n}`, MIB)] as const,
    );
    write(at, pieces);
    fs.truncateSync(at, 64 * MIB);
  },
  edits: [
    (at) =>
      write(
        at,
        [4, 8, 20].map((mib) => [mib * MIB + 12_345, noise(`in ${mib}`, 10_000)] as const),
      ),
    (at) => write(at, [[2 * MIB, noise('in a hole', CLUSTER_BYTES)]]),
    (at) => punch(at, '-p', '-o', String(8 * MIB), '-l', String(256 * KIB)),
  ],
};

/** A qcow2 image with metadata for all of its disk: header, tables, and clusters anywhere, some of them discarded. */
const QCOW2: Shape = {
  make(at) {
    const header = Buffer.alloc(CLUSTER_BYTES);
    header.write('QFI\xfb', 'latin1');
    header.writeUInt32BE(3, 4);
    const random = seededRandom(3);
    const table = Buffer.alloc(CLUSTER_BYTES);
    const pieces: [number, Buffer][] = [[0, header]];
    for (let n = 0; n < 100; n += 1) {
      const place = (4 + 9 * n + Math.floor(random.next() * 8)) * CLUSTER_BYTES;
      table.writeBigUInt64BE(BigInt(place) | (1n << 63n), 8 * n);
      pieces.push([place, noise(`cluster ${n}`, CLUSTER_BYTES)]);
    }
    write(at, [...pieces, [3 * CLUSTER_BYTES, table]]);
    fs.truncateSync(at, 1000 * CLUSTER_BYTES);
  },
  edits: [
    (at) => {
      const entry = Buffer.alloc(8);
      entry.writeBigUInt64BE(BigInt(1000 * CLUSTER_BYTES) | (1n << 63n));
      const table = [3 * CLUSTER_BYTES + 8 * 200, entry] as const;
      return write(at, [[1000 * CLUSTER_BYTES, noise('allocated', CLUSTER_BYTES)], table]);
    },
    (at) => punch(at, '-p', '-o', String(400 * CLUSTER_BYTES), '-l', String(20 * CLUSTER_BYTES)),
  ],
};

/** A sparse extent of VMDK: tables of grains, which are mostly empty, then grains in the order of their first writing. */
const GRAINS_FROM_BYTES = 40 * MIB;
const VMDK: Shape = {
  make(at) {
    const descriptor = Buffer.alloc(4 * KIB);
    descriptor.write('KDMV');
    const grains = Array.from(
      { length: 96 },
      (_, n) =>
        [GRAINS_FROM_BYTES + n * CLUSTER_BYTES, noise(`grain ${n}`, CLUSTER_BYTES)] as const,
    );
    write(at, [[0, descriptor], [MIB, Buffer.alloc(4 * KIB, 7)], ...grains]);
  },
  edits: [
    (at) =>
      write(at, [
        [MIB + 4 * 96, Buffer.from([0, 0, 0, 9])],
        [30 * MIB, Buffer.alloc(4 * KIB, 8)],
        [GRAINS_FROM_BYTES + 96 * CLUSTER_BYTES, noise('new grain', CLUSTER_BYTES)],
      ]),
    (at) =>
      write(at, [[GRAINS_FROM_BYTES + 10 * CLUSTER_BYTES + 777, noise('rewritten', 4 * KIB)]]),
  ],
};

/** Runs statements in a database of SQLite. */
function query(at: string, ...statements: string[]): void {
  const database = nodeSystem().openDatabase(at, { readonly: false });
  for (const statement of statements) database.exec(statement);
  database.close();
}

/** A database of which most rows were deleted, and whose free pages became holes. */
const SQLITE: Shape = {
  make(at) {
    query(
      at,
      'PRAGMA secure_delete = ON',
      'CREATE TABLE notes (id INTEGER PRIMARY KEY, body BLOB)',
      `INSERT INTO notes SELECT value, randomblob(3000) FROM (WITH RECURSIVE n(value) AS
         (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 6000) SELECT value FROM n)`,
      'DELETE FROM notes WHERE id % 1000 > 250',
    );
    punch(at, '--dig-holes');
  },
  edits: [
    (at) => {
      query(at, 'UPDATE notes SET body = randomblob(3000) WHERE id % 1000 = 7');
      return 6 * 4 * KIB;
    },
    (at) => {
      query(at, 'INSERT INTO notes SELECT 900000 + id, randomblob(3000) FROM notes LIMIT 10');
      return 10 * 5 * KIB;
    },
  ],
};

/** Bytes that a delta takes beside what was written: blocks at the edges of an edit, commands, and rows. */
const MORE_BYTES = 48 * KIB;

/** Backs up a shape and each edit of it, and restores all versions. */
async function staysSmall(t: ExecutionContext, { make, edits }: Shape): Promise<void> {
  const { place, source, at } = lab(t);
  const disk = path.join(source, 'disk');
  make(disk);
  const versions = [fs.readFileSync(disk)];
  t.true(fs.statSync(disk).blocks * 512 < versions[0]!.length / 2, 'it is mostly holes');
  await rest();
  await backup([...place, '--local', '--create', source]);
  for (const [number, edit] of edits.entries()) {
    const writtenBytes = edit(disk);
    versions.push(fs.readFileSync(disk));
    await rest();
    const { progress } = await backup([...place, '--local', source]);
    t.is(progress.deltasSent, 1, `edit ${number}`);
    t.true(
      progress.sentBytes < 1.5 * writtenBytes + MORE_BYTES,
      `${number}: ${progress.sentBytes}`,
    );
  }
  for (const [number, version] of versions.entries()) {
    const out = at(`out ${number}`);
    await succeed('regenerate', [...place, '-b', String(number + 1), '-o', out, disk]);
    const restored = path.join(out, 'disk');
    t.true(fs.readFileSync(restored).equals(version), `version ${number}`);
    t.true(fs.statSync(restored).blocks * 512 < version.length / 2, 'and has its holes');
  }
}

test(
  'a thin image is a delta, whatever is written into data and holes, and comes back',
  staysSmall,
  RAW,
);
test('so is a qcow2 image that allocates and discards clusters', staysSmall, QCOW2);
test('so is a VMDK-like extent with empty tables', staysSmall, VMDK);
test('so is a database of SQLite with holes', staysSmall, SQLITE);
