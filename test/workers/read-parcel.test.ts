import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { EntryType, type Entry, RowFlag } from '../../src/model/index.js';
import {
  Codec,
  decode,
  parseRecord,
  readContentIndex,
  readFrameIndex,
} from '../../src/store/index.js';
import { nodeSystem, systemClock } from '../../src/system/index.js';
import { seededRandom } from '../support/seeded-random.js';
import {
  type ContentBlock,
  type FrameOptions,
  type ReadOutput,
  InlineJobs,
  type ParcelInput,
  RACY_WINDOW_NS,
} from '../../src/workers/index.js';
import { rejectedCode } from '../helpers/codes.js';
import { fill, filled, parcelOf, parcelOfRows, systemError, systemWith } from '../helpers/jobs.js';
import { entriesOf, sha256 } from '../helpers/rows.js';
import { scratch } from '../helpers/scratch.js';

const { native } = nodeSystem();
const FRAMES: FrameOptions = {
  compression: { codec: Codec.zstd, level: 1 },
  smallBytes: 1000,
  smallRawBytes: 1000,
  frameBytes: 4000,
};

async function hash(
  parcel: ParcelInput,
  more: { system?: ReturnType<typeof systemWith>; frames?: FrameOptions; jobs?: InlineJobs } = {},
): Promise<ReadOutput> {
  const { system = systemWith(), frames, jobs = new InlineJobs(system) } = more;
  return (await jobs.run('read', { parcel, frames })).output;
}

/** Returns the contents of a block by their digests. */
function contentsOf(block: ContentBlock | undefined): Map<string, Buffer> {
  const { bytes, digests, starts, sizes } = block!;
  const found = new Map<string, Buffer>();
  starts.forEach((start, index) => {
    const digest = Buffer.from(digests.subarray(index * 32, (index + 1) * 32)).toString('hex');
    found.set(digest, Buffer.from(bytes.subarray(start, start + sizes[index]!)));
  });
  return found;
}

/** Returns the contents in records by their digests. */
function recordedOf({ records, recordLengths }: ReadOutput): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  let at = 0;
  for (const length of recordLengths) {
    const { header, index, body } = parseRecord(records!.subarray(at, at + length));
    const raw = Buffer.alloc(header.rawBytes);
    decode(header.codec, body, raw);
    const entries =
      header.kind === 1
        ? readFrameIndex(header, index)
        : [{ ...readContentIndex(index), offset: 0 }];
    for (const { digest, offset, sizeBytes } of entries) {
      found.set(Buffer.from(digest).toString('hex'), raw.subarray(offset, offset + sizeBytes));
    }
    at += length;
  }
  if (at !== (records?.length ?? 0)) throw new Error('bytes of no record');
  return found;
}

function names(rows: Uint8Array): string[] {
  return entriesOf(rows).map(({ name }) => name.toString());
}

function find(output: ReadOutput, name: string): Entry {
  return entriesOf(output.rows).find((entry) => entry.name.toString() === name)!;
}

/** Returns the reported failures, without the paths. */
function failuresOf(output: ReadOutput): [number, string, string, string][] {
  return output.failures.map(({ slot, name, what, reason }) => [
    slot,
    Buffer.from(name).toString(),
    what,
    reason,
  ]);
}

test('files are read and hashed, everything else passes as it is', async (t) => {
  const folder = filled(t, {
    a: 'content of a',
    'empty.txt': '',
    'sub/x': 'not in this parcel',
    z: 'z',
  });
  fs.symlinkSync('a', path.join(folder, 'link'));
  const parcel = parcelOf(folder);
  const before = entriesOf(parcel.rows);
  const output = await hash(parcel);
  t.deepEqual([...output.slots], [10]);
  t.deepEqual([...output.rowEnds], [output.rows.length]);
  t.deepEqual(names(output.rows), ['a', 'empty.txt', 'link', 'sub', 'z']);
  t.deepEqual(
    entriesOf(output.rows),
    before.map((entry) => {
      const content = { a: 'content of a', z: 'z' }[entry.name.toString()];
      if (content === undefined) return entry;
      return { ...entry, flags: RowFlag.hasDigest, digest: sha256(content) };
    }),
  );
  t.deepEqual(
    contentsOf(output.contents),
    new Map(['content of a', 'z'].map((text) => [sha256(text).toString('hex'), Buffer.from(text)])),
  );
  t.like(output, { files: 2, readBytes: 13, repeats: 0, records: undefined });
  t.deepEqual(output.failures, []);
  t.deepEqual(output.grown, []);
});

const FILES = 20;

test('files that the system has to read from a disk are read right', async (t) => {
  const folder = scratch(t);
  const random = seededRandom(7);
  const folders = ['one', 'two', 'three'].map((name) => path.join(folder, name));
  const contents = new Map<string, Buffer>();
  for (const each of folders) {
    fs.mkdirSync(each);
    for (let n = 0; n < FILES; n += 1) {
      const bytes = random.bytes(10 + Math.floor(random.next() ** 4 * 200_000));
      contents.set(sha256(bytes).toString('hex'), bytes);
      fs.writeFileSync(path.join(each, `${n}`), bytes);
    }
    fs.symlinkSync('0', path.join(each, 'link'));
    for (let n = 0; n < FILES; n += 2) {
      // Every second file leaves the memory of the system; the first one shows that there are such files.
      const words = [`of=${path.join(each, `${n}`)}`, 'conv=notrunc,fdatasync', 'oflag=nocache'];
      t.is(spawnSync('dd', [...words, 'count=0', 'status=none']).status, 0);
    }
  }
  const output = await hash(parcelOf(...folders));
  const found = contentsOf(output.contents);
  t.is(found.size, contents.size);
  t.true([...contents].every(([digest, bytes]) => found.get(digest)?.equals(bytes)));
  t.like(output, { files: 3 * FILES, failures: [] });
});

test('sections keep their directories apart', async (t) => {
  const folder = filled(t, {
    'one/same': 'first',
    'two/same': 'second',
    'two/third': '3',
    'none/': '',
  });
  const folders = ['one', 'none', 'two'].map((name) => path.join(folder, name));
  const output = await hash(parcelOf(...folders));
  t.deepEqual([...output.slots], [10, 11, 12]);
  const [first, none] = output.rowEnds;
  t.is(none, first, 'a section may end up without rows');
  t.is(entriesOf(output.rows.subarray(0, first))[0]!.digest?.equals(sha256('first')), true);
  t.deepEqual(names(output.rows.subarray(first)), ['same', 'third']);
  t.is(entriesOf(output.rows.subarray(first))[0]!.digest?.equals(sha256('second')), true);
});

test('with frames the contents come out as records, each once', async (t) => {
  const folder = scratch(t);
  const large = seededRandom(1).bytes(3000);
  fill(folder, {
    a: 'small',
    b: 'small too',
    'c.zip': 'small, of a type that never shrinks',
    copy: 'small',
    large,
    zeros: Buffer.alloc(2500),
  });
  const jobs = new InlineJobs(systemWith());
  const output = await hash(parcelOf(folder), { frames: FRAMES, jobs });
  const wanted = ['small', 'small too', 'small, of a type that never shrinks', large];
  const found = recordedOf(output);
  t.deepEqual(
    [...found.keys()].sort(),
    [...wanted, Buffer.alloc(2500)].map((content) => sha256(content).toString('hex')).sort(),
  );
  for (const [digest, content] of found) t.is(sha256(content).toString('hex'), digest);
  t.like(output, { files: 6, repeats: 1, contents: undefined });
  t.deepEqual(find(output, 'copy').digest, sha256('small'), 'a repeat has its digest all the same');

  const again = await hash(parcelOf(folder), { frames: FRAMES, jobs });
  t.is(again.repeats, 6);
  t.deepEqual([again.recordLengths, again.records?.length], [[], 0]);
  t.is(find(again, 'large').digest?.equals(sha256(large)), true);
});

test('without frames a content is a repeat once its digest is known', async (t) => {
  const folder = filled(t, { a: 'known', b: 'new', c: 'new' });
  const jobs = new InlineJobs(systemWith());
  jobs.recent.add(sha256('known'));
  const output = await hash(parcelOf(folder), { jobs });
  t.is(output.repeats, 1);
  t.is(output.contents!.starts.length, 2, 'what is only about to be asked for is not known yet');
});

test('a file that changed since it was listed is read as it is now', async (t) => {
  const folder = filled(t, { a: 'as it was listed', b: 'longer when it was listed' });
  const parcel = parcelOf(folder);
  fill(folder, { a: 'as it is by now!', b: 'shorter' });
  fs.chmodSync(path.join(folder, 'a'), 0o600);
  const output = await hash(parcel);
  t.deepEqual(failuresOf(output), []);
  for (const [name, content] of [
    ['a', 'as it is by now!'],
    ['b', 'shorter'],
  ] as const) {
    const entry = find(output, name);
    t.deepEqual(entry.digest, sha256(content));
    t.is(entry.sizeBytes, content.length);
    t.is(entry.flags, RowFlag.hasDigest);
    t.is(entry.mtimeNs, fs.statSync(path.join(folder, name), { bigint: true }).mtimeNs);
  }
  t.is(find(output, 'a').permissions, 0o600);
});

test('a file that became empty has no content', async (t) => {
  const folder = filled(t, { a: 'full', b: 'x' });
  const parcel = parcelOf(folder);
  fill(folder, { a: '' });
  const output = await hash(parcel);
  t.like(find(output, 'a'), { sizeBytes: 0, digest: undefined });
  t.is(output.contents!.starts.length, 1);
});

/** Returns a system that calls `disturb` before the n-th reading of a file. */
function disturbing(t: ExecutionContext, disturb: (reading: number) => void) {
  let reading = 0;
  return systemWith({
    readFileAt: (...values) => {
      reading += 1;
      disturb(reading);
      const got = native.readFileAt(...values);
      t.true(reading < 20);
      return got;
    },
  });
}

test('a file that keeps changing while it is read is kept as read, and flagged', async (t) => {
  const folder = scratch(t);
  const file = path.join(folder, 'a');
  fill(folder, { a: 'version 0' });
  let readings = 0;
  const system = disturbing(t, (reading) => {
    readings = reading;
    fs.writeFileSync(file, `version ${reading}`);
  });
  const output = await hash(parcelOf(folder), { system });
  t.true(readings > 1, 'it is given some more tries');
  const entry = find(output, 'a');
  t.is(entry.flags, RowFlag.hasDigest | RowFlag.changedWhileRead | RowFlag.unsettled);
  t.deepEqual(entry.digest, sha256(`version ${readings}`));
  t.deepEqual(failuresOf(output), [[10, 'a', 'changed', 'read']]);
  t.is(Buffer.from(output.failures[0]!.path).toString(), file);
  t.is(output.contents!.starts.length, 1, 'what was read is kept');
});

test('a file that changed once while it was read is read again, and is sound', async (t) => {
  const folder = filled(t, { a: 'before', b: 'other' });
  const system = disturbing(t, (reading) => {
    if (reading === 1) fs.writeFileSync(path.join(folder, 'a'), 'after!');
  });
  const output = await hash(parcelOf(folder), { system });
  t.deepEqual(find(output, 'a').digest, sha256('after!'));
  t.is(find(output, 'a').flags, RowFlag.hasDigest);
  t.deepEqual(failuresOf(output), []);
  t.is(output.readBytes, 11, 'only the last reading counts');
});

test('a file that was changed a moment before it was read is read again next time', async (t) => {
  const folder = filled(t, { a: 'content' });
  const ctimeMs = Number(
    fs.statSync(path.join(folder, 'a'), { bigint: true }).ctimeNs / 1_000_000n,
  );
  const windowMs = Number(RACY_WINDOW_NS / 1_000_000n);
  const flagsAt = async (nowMs: number): Promise<number> => {
    const clock = { ...systemClock, nowMs: () => nowMs };
    return find(await hash(parcelOf(folder), { system: systemWith({}, clock) }), 'a').flags;
  };
  const unsettled = RowFlag.hasDigest | RowFlag.unsettled;
  t.is(await flagsAt(ctimeMs), unsettled);
  t.is(await flagsAt(ctimeMs + windowMs), unsettled);
  t.is(await flagsAt(ctimeMs + windowMs + 2), RowFlag.hasDigest);
  t.is(await flagsAt(ctimeMs - 3_600_000), unsettled, 'and so is one from the future');
});

test('files that are gone or cannot be read are reported, and do not stop the others', async (t) => {
  const folder = filled(t, { a: 'a', closed: 'x', gone: 'g', replaced: 'r', z: 'z' });
  const parcel = parcelOf(folder);
  fs.unlinkSync(path.join(folder, 'gone'));
  fs.unlinkSync(path.join(folder, 'replaced'));
  fs.mkdirSync(path.join(folder, 'replaced'));
  const system = systemWith({
    openOwnersAt: (fd, name, row) => {
      if (name.toString() === 'closed') throw systemError('EACCES');
      return native.openOwnersAt(fd, name, row);
    },
  });
  for (const frames of [undefined, FRAMES]) {
    const copy = { ...parcel, rows: Buffer.from(parcel.rows) };
    const output = await hash(copy, { system, ...(frames === undefined ? {} : { frames }) });
    t.deepEqual(names(output.rows), ['a', 'z']);
    t.deepEqual(failuresOf(output), [
      [10, 'closed', 'unreadable', 'EACCES'],
      [10, 'gone', 'vanished', 'ENOENT'],
      [10, 'replaced', 'unreadable', 'ENOTREG'],
    ]);
    const found = frames === undefined ? contentsOf(output.contents) : recordedOf(output);
    t.is(found.size, 2);
  }
});

test('a directory that is gone takes its own files only', async (t) => {
  const folder = filled(t, { 'one/a': 'a', 'two/b': 'b', 'two/c': 'c', 'three/d': 'd' });
  const parcel = parcelOf(...['one', 'two', 'three'].map((name) => path.join(folder, name)));
  fs.rmSync(path.join(folder, 'two'), { recursive: true });
  const output = await hash(parcel);
  t.deepEqual(names(output.rows), ['a', 'd']);
  t.deepEqual([...output.slots], [10, 11, 12]);
  t.deepEqual(failuresOf(output), [
    [11, 'b', 'vanished', 'ENOENT'],
    [11, 'c', 'vanished', 'ENOENT'],
  ]);
});

test('a file that has grown since it was listed is handed on, with its row up to date', async (t) => {
  const folder = filled(t, { a: 'small', b: 'other' });
  const parcel = parcelOf(folder);
  fill(folder, { a: 'x'.repeat(100_000) });
  const output = await hash(parcel);
  t.deepEqual(names(output.rows), ['b']);
  t.deepEqual(failuresOf(output), []);
  const [grown] = output.grown;
  t.like(grown, { slot: 10 });
  t.is(Buffer.from(grown!.directoryPath).toString(), folder);
  t.like(entriesOf(grown!.row)[0], { type: EntryType.file, sizeBytes: 100_000 });
});

test('a bug in a job is no file’s failure', async (t) => {
  const folder = filled(t, { a: 'a' });
  const system = systemWith({
    readFileAt: () => {
      throw new TypeError('x is not a function');
    },
  });
  t.is(await rejectedCode(hash(parcelOf(folder), { system })), 'INTERNAL');
});

test('no directory stays open, whatever fails', async (t) => {
  const folder = filled(t, { 'one/a': 'a', 'two/b': 'b' });
  let open = 0;
  const system = systemWith({
    openListed: (folderPath, identity) => {
      const fd = native.openListed(folderPath, identity);
      open += 1;
      return fd;
    },
    close: (fd) => {
      open -= 1;
      native.close(fd);
    },
    openOwnersAt: (_fd, name) => {
      throw name.toString() === 'a' ? systemError('EIO') : new TypeError('a bug');
    },
  });
  const rows = (name: string): [string, Buffer] => {
    const full = path.join(folder, name);
    return [full, native.listDirectory(Buffer.from(full))];
  };
  await hash(parcelOfRows([rows('one')]), { system });
  await t.throwsAsync(hash(parcelOfRows([rows('one'), rows('two')]), { system }));
  t.is(open, 0);
});

test('what is handed over to a job in this thread is gone afterwards, as in a pool', async (t) => {
  const folder = filled(t, { a: 'small', b: 'small too' });
  const jobs = new InlineJobs(systemWith());
  const rows = Uint8Array.from(parcelOf(folder).rows); // a buffer of its own, which can be transferred
  const parcel = { ...parcelOf(folder), rows };
  const { output } = await jobs.run('read', { parcel, frames: FRAMES }, [rows.buffer]);
  t.is(rows.length, 0);
  t.is(recordedOf(output).size, 2);
});
