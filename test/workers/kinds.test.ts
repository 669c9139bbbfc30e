/** Results of jobs besides bytes: attributes, owners, holes, and the limits of a walk. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { SparseMap } from '../../src/contents/index.js';
import { leaveOut } from '../helpers/left-out.js';
import { NO_EXCLUDES } from '../support/no-excludes.js';
import {
  forEachRow,
  MAX_ATTRIBUTES_BYTES,
  packAttributes,
  EntryType,
  RowFlag,
  RowReader,
} from '../../src/model/index.js';
import { nodeSystem, type System } from '../../src/system/index.js';
import {
  type ReadOutput,
  InlineJobs,
  type WalkInput,
  type WalkOutput,
} from '../../src/workers/index.js';
import { filled, parcelOf, startAt, systemError, systemWith, walkedOf } from '../helpers/jobs.js';
import { ACL } from '../helpers/kinds.js';
import { isRoot } from '../helpers/native.js';
import { entriesOf } from '../helpers/rows.js';
import { folderIn, scratchInMemory, written } from '../helpers/scratch.js';
import { listedFile } from '../helpers/identities.js';

const { native } = nodeSystem();
const MIB = 1 << 20;

async function hash(folder: string, system: System): Promise<ReadOutput> {
  const input = { parcel: parcelOf(folder), frames: undefined };
  return (await new InlineJobs(system).run('read', input)).output;
}

function packed(value: string | Buffer, name = 'user.a'): Buffer {
  return packAttributes([{ name: Buffer.from(name), value: Buffer.from(value) }]);
}

/** Returns the name of what attributes are read of: an entry of a directory, or an open file. */
function nameOf(fd: number, name: Buffer): string {
  const isOpen = name.length === 0;
  return isOpen ? path.basename(fs.readlinkSync(`/proc/self/fd/${fd}`)) : name.toString();
}

test('rows get attributes where there are some, and keep nothing of the way', async (t) => {
  const folder = filled(t, { a: 'content', b: 'other', empty: '', 'sub/x': '' });
  fs.symlinkSync('a', path.join(folder, 'link'));
  const having = new Set(['a', 'empty', 'link', 'sub']);
  const requested: string[] = [];
  const system = systemWith({
    attributesAt: (fd, given) => {
      const name = nameOf(fd, given);
      requested.push(name);
      return having.has(name) ? packed(`of ${name}`) : Buffer.alloc(0);
    },
  });
  const output = await hash(folder, system);
  t.deepEqual(
    entriesOf(output.rows).map(({ name, attributes }) => [name.toString(), attributes]),
    ['a', 'b', 'empty', 'link', 'sub'].map((name) => [
      name,
      having.has(name) ? packed(`of ${name}`) : undefined,
    ]),
  );
  t.deepEqual(requested, ['a', 'b', 'empty', 'link', 'sub']);
  t.true(entriesOf(output.rows).every(({ flags }) => (flags & RowFlag.sparse) === 0));
  t.deepEqual(output.failures, []);
});

test('an entry whose attributes cannot be read is closed to others, reported, and tried again', async (t) => {
  const folder = filled(t, { a: 'content', empty: '', 'gone/x': '', 'replaced/x': '' });
  const system = systemWith({
    attributesAt: (fd, name) => {
      const codes: Record<string, string> = { gone: 'ENOENT', replaced: 'EREPLACED' };
      throw systemError(codes[nameOf(fd, name)] ?? 'EIO');
    },
  });
  const output = await hash(folder, system);
  t.deepEqual(
    output.failures.map(({ name, what, reason }) => [Buffer.from(name).toString(), what, reason]),
    [
      ['a', 'incomplete', 'EIO'],
      ['empty', 'incomplete', 'EIO'],
      ['replaced', 'incomplete', 'EREPLACED'],
    ],
  );
  t.deepEqual(
    entriesOf(output.rows).map(({ name, flags, permissions, attributes }) => [
      name.toString(),
      (flags & RowFlag.unsettled) !== 0,
      permissions & 0o077,
      attributes,
    ]),
    ['a', 'empty', 'gone', 'replaced'].map((name) => [name, true, 0, undefined]),
  );
});

test('the attributes of a parcel are bounded', async (t) => {
  const folder = filled(
    t,
    Object.fromEntries(Array.from({ length: 600 }, (_, index) => [`${index}`, ''])),
  );
  const most = packed(Buffer.alloc(MAX_ATTRIBUTES_BYTES - 20));
  const output = await hash(folder, systemWith({ attributesAt: () => most }));
  const kept = entriesOf(output.rows).filter(({ attributes }) => attributes !== undefined);
  t.is(entriesOf(output.rows).length, 600);
  t.is(kept.length, 512);
  t.is(output.failures.length, 88);
  t.true(output.failures.every(({ what, reason }) => `${what} ${reason}` === 'incomplete E2BIG'));
});

test('an ACL has its users by name', async (t) => {
  const folder = filled(t, { empty: '' });
  const system = systemWith({
    attributesAt: () => packed(ACL, 'system.posix_acl_access'),
    userName: (id) => Buffer.from(`user ${id}`),
  });
  const { owners } = await hash(folder, system);
  t.deepEqual(owners, [
    { isGroup: false, id: 4321, name: Uint8Array.from(Buffer.from('user 4321')) },
  ]);
});

test('a file that has become large and full of holes is handed on as one', async (t) => {
  const folder = filled(t, { a: 'small' });
  const parcel = parcelOf(folder);
  fs.truncateSync(path.join(folder, 'a'), 100 * MIB);
  const jobs = new InlineJobs(systemWith());
  const { output } = await jobs.run('read', { parcel, frames: undefined });
  const [entry] = entriesOf(output.grown[0]!.row);
  t.is(entry!.sizeBytes, 100 * MIB);
  t.is(entry!.flags & RowFlag.sparse, RowFlag.sparse);
});

test('holes of large files are found, and a dense file has none', async (t) => {
  const folder = scratchInMemory(t);
  const holes = written(folder, 'holes', '');
  fs.truncateSync(holes, 50 * MIB);
  const fd = fs.openSync(holes, 'r+');
  fs.writeSync(fd, 'data', 20 * MIB);
  fs.closeSync(fd);
  fs.writeFileSync(path.join(folder, 'dense'), Buffer.alloc(2 * MIB));
  const jobs = new InlineJobs(systemWith());
  const look = async (name: string): Promise<{ failure: string; head: Uint8Array }> => {
    return (await jobs.run('holes', listedFile(path.join(folder, name)))).output;
  };
  const found = await look('holes');
  t.is(found.failure, '');
  const map = new SparseMap(found.head);
  t.is(map.fileBytes, 50 * MIB);
  t.true(map.formBytes < MIB);
  const dense = await look('dense');
  t.deepEqual([dense.failure, dense.head.length], ['', 0]);
  fs.rmSync(holes);
  const gone = await jobs.run('holes', listedFile(path.join(folder, 'dense'), 'holes'));
  t.is(gone.output.failure, 'ENOENT');
});

test('a file of another owner under the name of the listed one is not read, another of the same is', async (t) => {
  const folder = filled(t, { listed: 'the listed', same: 'of one own', other: 'of another' });
  if (!isRoot) return leaveOut(t, 'this needs root');
  fs.chownSync(path.join(folder, 'other'), 4711, 4711);
  for (const [name, failure] of [
    ['same', ''],
    ['other', 'EREPLACED'],
  ] as const) {
    const now = folderIn(folder, `now ${name}`);
    fs.linkSync(path.join(folder, 'listed'), path.join(now, 'file'));
    const listed = listedFile(path.join(now, 'file'));
    const parcel = parcelOf(now);
    fs.renameSync(path.join(folder, name), path.join(now, 'file'));
    const jobs = new InlineJobs(systemWith());
    const { output } = await jobs.run('holes', listed);
    t.is(output.failure, failure);
    const hashed = (await jobs.run('read', { parcel, frames: undefined })).output;
    t.deepEqual(
      hashed.failures.map(({ reason }) => reason),
      failure === '' ? [] : [failure],
    );
    t.is(hashed.contents!.starts.length, failure === '' ? 1 : 0);
  }
});

async function walk(
  folder: string,
  more: Partial<WalkInput>,
  system = systemWith(),
): Promise<WalkOutput> {
  const start = { tasks: startAt(folder), firstFreeSlot: 1, slotStride: 1 };
  const input = { ...start, maxEntries: 10_000, excludes: NO_EXCLUDES, ...more };
  return (await new InlineJobs(system).run('walk', input)).output;
}

const pathsOf = (output: WalkOutput, folder: string): string[] =>
  walkedOf(output).map(({ path: directory }) => path.relative(folder, directory));

test('a walk goes as deep as it may, also over several jobs', async (t) => {
  const folder = filled(t, { 'a/b/c/d': '1', 'e/f': '2' });
  t.deepEqual(pathsOf(await walk(folder, {}), folder), ['', 'a', 'a/b', 'a/b/c', 'e']);
  t.deepEqual(pathsOf(await walk(folder, { maxDepth: 3 }), folder), ['', 'a', 'a/b', 'e']);
  t.deepEqual(pathsOf(await walk(folder, { maxDepth: 1 }), folder), ['']);
  const first = await walk(folder, { maxDepth: 2, maxEntries: 1 });
  t.deepEqual(pathsOf(first, folder), ['']);
  const { pending: tasks, nextFreeSlot: firstFreeSlot } = first;
  const second = await walk(folder, { tasks, firstFreeSlot, maxDepth: 2 });
  t.deepEqual(pathsOf(second, folder), ['a', 'e']);
  t.is(second.pending.slots.length, 0);
});

test('other file systems are entered only if that is requested', async (t) => {
  const folder = filled(t, { 'mount/below/x': '1', 'own/y': '2' });
  const system = systemWith({
    listOrHold: (directory) => {
      const rows = new RowReader(native.listDirectory(directory));
      forEachRow(rows, (at) => {
        if (rows.name(at).toString() === 'mount') rows.setFlags(at, RowFlag.otherDevice);
      });
      return rows.rows;
    },
  });
  const entered = await walk(folder, { crossDevices: true }, system);
  t.deepEqual(pathsOf(entered, folder), ['', 'mount', 'mount/below', 'own']);
  const kept = await walk(folder, {}, system);
  t.deepEqual(pathsOf(kept, folder), ['', 'own']);
  t.deepEqual(
    walkedOf(kept)[0]!.entries.map(({ name, type, flags }) => [name.toString(), type, flags]),
    [
      ['mount', EntryType.directory, RowFlag.otherDevice],
      ['own', EntryType.directory, 0],
    ],
  );
});

test('owners are reported once a job, with the names the system has for them', async (t) => {
  const folder = filled(t, { a: '', b: '', 'c/d': '' });
  let requested = 0;
  const system = systemWith({
    userName: () => {
      requested += 1;
      return Buffer.from('somebody');
    },
    groupName: () => undefined,
  });
  const { uid, gid } = fs.statSync(folder);
  const expected = [
    { isGroup: false, id: uid, name: Uint8Array.from(Buffer.from('somebody')) },
    { isGroup: true, id: gid, name: new Uint8Array(0) },
  ];
  t.deepEqual((await walk(folder, {}, system)).owners, expected);
  t.deepEqual((await walk(folder, {}, system)).owners, expected);
  t.is(requested, 1, 'the name was asked for again');
});
