// Pace: quick
/** Jobs that read block devices: only the listed one, and only to its end. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { identityOf, RowFlag, RowReader } from '../../src/model/index.js';
import { nodeSystem, type System } from '../../src/system/index.js';
import { InlineJobs, type ListedFile, type RangeOutput } from '../../src/workers/index.js';
import { identityAt } from '../helpers/identities.js';
import { systemWith } from '../helpers/jobs.js';
import { loopHere, unlessLeftOut } from '../helpers/mounts.js';
import { failing } from '../helpers/native.js';
import { entriesOf } from '../helpers/rows.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { noise } from '../helpers/tree.js';

const { native } = nodeSystem();
const MIB = 1 << 20;
const BYTES = 2 * MIB;

interface Listed extends ListedFile {
  readonly home: string;
  readonly link: string;
  readonly row: Buffer;
}

function loopOf(t: ExecutionContext, home: string, name: string, bytes: Buffer): string {
  fs.writeFileSync(path.join(home, name), bytes);
  return loopHere(t, path.join(home, name));
}

/** Lists a link to a device. */
function listed(t: ExecutionContext, bytes = noise('listed', BYTES)): Listed {
  const home = scratchInMemory(t);
  const link = path.join(home, 'link');
  fs.symlinkSync(loopOf(t, home, 'image', bytes), link);
  const fd = native.openDirectory(Buffer.from(home));
  const row = native.contentsAt(fd, Buffer.from('link'));
  native.close(fd);
  return { home, link, directoryPath: Buffer.from(home), directory: identityAt(home), row };
}

async function read(file: ListedFile, system: System = systemWith()): Promise<RangeOutput> {
  const range = { sparseHead: undefined, offset: 0, bytes: 64 * MIB, compression: undefined };
  return new InlineJobs(system).runRange({ ...file, ...range }, 2, async () => undefined);
}

test('the row of a device is that of a file of its size, and loses its number when it is read', (t) =>
  unlessLeftOut(t, async () => {
    const file = listed(t);
    const node = fs.statSync(file.link);
    const [entry] = entriesOf(file.row);
    t.is(entry!.sizeBytes, BYTES);
    t.is(entry!.device, BigInt(node.rdev));
    t.is(entry!.permissions, node.mode & 0o7777);
    const output = await read(file);
    const [final] = entriesOf(output.row);
    t.deepEqual([output.failure, output.sizeBytes, final!.sizeBytes], ['', BYTES, BYTES]);
    t.is(final!.device, 0n);
    t.not(final!.flags & RowFlag.unsettled, 0, 'the next backup reads it again');
  }));

test('nothing but the listed device is read under its name', (t) =>
  unlessLeftOut(t, async () => {
    const file = listed(t);
    const other = loopOf(t, file.home, 'other', noise('other', BYTES));
    for (const to of [other, 'image', '/dev/null', '/dev/zero', '.']) {
      fs.unlinkSync(file.link);
      fs.symlinkSync(to, file.link);
      t.is((await read(file)).failure, 'EREPLACED', to);
      const { output } = await new InlineJobs(systemWith()).run('holes', file);
      t.is(output.failure, 'EREPLACED', to);
      const places = { ...file, places: [0], bytes: MIB };
      t.is((await new InlineJobs(systemWith()).run('data', places)).output.failure, 'EREPLACED');
    }
    fs.unlinkSync(file.link);
    fs.writeFileSync(file.link, noise('file', BYTES));
    t.is((await read(file)).failure, 'EREPLACED', 'a file');
  }));

test('a node of another device that has the inode of the listed one is refused', (t) =>
  unlessLeftOut(t, async () => {
    const file = listed(t);
    const rows = new RowReader(Buffer.from(file.row));
    rows.rows.writeUInt32LE(rows.rows.readUInt32LE(64) + 1, 64);
    const fd = native.openDirectory(Buffer.from(file.home));
    t.teardown(() => native.close(fd));
    const open = (row: RowReader) => () =>
      native.openListedAt(fd, Buffer.from('link'), identityOf(row, 0, 0n));
    t.is(failing(open(rows)).code, 'EREPLACED');
    native.close(open(new RowReader(file.row))());
  }));

test('a device that ends before its size gives no version', (t) =>
  unlessLeftOut(t, async () => {
    const file = listed(t);
    const system = systemWith({ deviceBytes: () => BYTES + MIB });
    t.is((await read(file, system)).failure, 'EIO');
    const beyond = { ...file, places: [BYTES - MIB], bytes: 2 * MIB };
    t.is((await new InlineJobs(systemWith()).run('data', beyond)).output.failure, 'EIO');
  }));

test('the data of a device is found in blocks of 64 KiB', (t) =>
  unlessLeftOut(t, async () => {
    const bytes = Buffer.alloc(BYTES);
    for (const at of [0, (64 << 10) - 1, 640 << 10, BYTES - 1]) bytes[at] = 1;
    const file = { ...listed(t, bytes), places: [0], bytes: BYTES };
    const { output } = await new InlineJobs(systemWith()).run('data', file);
    t.deepEqual(
      output.extents.map(([offset, length]) => [offset >> 10, length >> 10]),
      [
        [0, 64],
        [640, 64],
        [2048 - 64, 64],
      ],
    );
  }));
