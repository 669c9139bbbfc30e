// Pace: slow
/** Entries and contents of a tree that reach the peer, and the requests and notes about them. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { RowFlag } from '../../src/model/index.js';
import { nodeSystem, systemClock } from '../../src/system/index.js';
import { seededRandom } from '../support/seeded-random.js';
import { Wanted } from '../../src/transport/index.js';
import { FakePeer } from '../helpers/fake-peer.js';
import { fill, filled, systemError, systemWith } from '../helpers/jobs.js';
import { contentOf, pathsAt, startPipeline } from '../helpers/pipelines.js';
import { sha256 } from '../helpers/rows.js';
import { scratchInMemory, written } from '../helpers/scratch.js';

const { native } = nodeSystem();

const TREE = {
  a: 'content of a',
  'b.zip': 'stored as it is',
  'empty file': '',
  'sub/c': 'c'.repeat(10_000),
  'sub/deep/d': 'd'.repeat(100_000),
  'sub/deep/same as a': 'content of a',
  'void/': '',
};
const PATHS = [
  '/a',
  '/b.zip',
  '/empty file',
  '/sub/',
  '/sub/c',
  '/sub/deep/',
  '/sub/deep/d',
  '/sub/deep/same as a',
  '/void/',
];

test('an empty server gets everything once, and no question', async (t) => {
  const folder = filled(t, TREE);
  const peer = new FakePeer();
  const { pipeline, failures, done } = startPipeline(folder, peer);
  await done;
  t.deepEqual(pathsAt(peer), PATHS);
  for (const [name, content] of Object.entries(TREE)) {
    if (content !== '') t.is(contentOf(peer, `/${name}`)?.toString(), content, name);
  }
  t.deepEqual(peer.requested, []);
  t.is(peer.contents.size, 4, 'a content that is there twice is sent once');
  t.deepEqual(failures, []);
  for (const directory of ['', '/sub', '/sub/deep', '/void']) {
    t.true(peer.settledOf(directory), directory);
  }
  t.like(pipeline.progress, {
    directories: 4,
    entries: 9,
    filesRead: 5,
    filesHad: 1,
    contentsSent: 4,
    readBytes: 110_039,
    isWalkDone: true,
  });
  const { bytes, items } = pipeline.budget;
  t.deepEqual([bytes.used, items.used], [0, 0], 'everything is given back');
});

test('with many parcels and few workers it is the same', async (t) => {
  const folder = scratchInMemory(t);
  const random = seededRandom(1);
  const files = Object.fromEntries(
    Array.from({ length: 300 }, (_, index) => [
      `${index % 7}/${index % 3}/${index}`,
      random.bytes(1 + Math.floor(random.next() * 3000)),
    ]),
  );
  fill(folder, files);
  for (const more of [
    { parcelFiles: 1 },
    { parcelBytes: 4096, readConcurrency: 1, buildConcurrency: 1 },
    { workers: 8, walkConcurrency: 4 },
    { budgetBytes: 1 << 20, budgetItems: 64 },
  ]) {
    for (const isEmpty of [true, false]) {
      const peer = new FakePeer(isEmpty);
      await startPipeline(folder, peer, more).done;
      t.is(peer.rows.size, 300 + 7 + 21);
      for (const [name, content] of Object.entries(files)) {
        t.true(contentOf(peer, `/${name}`)?.equals(content), name);
      }
      t.is(peer.finished.size, 1 + 7 + 21);
    }
  }
});

test('directories that are the same are neither listed nor sent', async (t) => {
  const folder = filled(t, TREE);
  const peer = new FakePeer(false);
  const listed: string[] = [];
  peer.isSame = (directory) => directory !== '/sub';
  peer.verdictOf = (file) => {
    listed.push(file);
    return Wanted.no;
  };
  const { pipeline, done } = startPipeline(folder, peer);
  await done;
  t.deepEqual(listed, ['/sub/c', '/sub/deep']);
  t.deepEqual(pathsAt(peer), []);
  t.deepEqual([...peer.finished.values()], [true], 'the one that was compared is settled');
  t.like(pipeline.progress, { sameDirectories: 3, listings: 1, filesRead: 0 });
  t.deepEqual(peer.requested, []);
});

test('a server with data is asked what it lacks, and gets that', async (t) => {
  const folder = filled(t, TREE);
  const peer = new FakePeer(false);
  const known = sha256('c'.repeat(10_000)).toString('hex');
  peer.knows = (digest) => digest === known;
  peer.verdictOf = (file) => (file === '/b.zip' ? Wanted.no : Wanted.yes);
  const { pipeline, done } = startPipeline(folder, peer);
  await done;
  t.deepEqual(
    pathsAt(peer),
    PATHS.filter((file) => file !== '/b.zip'),
  );
  t.is(peer.rows.get('/sub/c')?.digest?.toString('hex'), known);
  t.is(contentOf(peer, '/sub/c'), undefined, 'it has that already');
  t.is(contentOf(peer, '/a')?.toString(), 'content of a');
  t.is(contentOf(peer, '/sub/deep/same as a')?.toString(), 'content of a');
  t.is(pipeline.progress.contentsSent + pipeline.progress.filesHad, 4);
});

test('what may change again is not settled', async (t) => {
  const folder = filled(t, { 'old/file': 'x', 'new/file': 'y' });
  const ofNew = fs.statSync(path.join(folder, 'new/file'), { bigint: true }).ctimeNs;
  // The listing of "old" reports times of long ago.
  const clock = { ...systemClock, nowMs: () => Number(ofNew / 1_000_000n) + 1000 };
  const system = systemWith(
    {
      listOrHold: (directory) => {
        const rows = native.listDirectory(directory);
        if (directory.toString().endsWith('/old')) rows.writeBigInt64LE(5n, 40);
        return rows;
      },
    },
    clock,
  );
  const peer = new FakePeer();
  await startPipeline(folder, peer, { system }).done;
  t.true(peer.settledOf('/old'));
  t.false(peer.settledOf('/new'));
  t.is(peer.rows.get('/new/file')!.flags & RowFlag.unsettled, RowFlag.unsettled);
});

test('a file that fails is reported, and its directory is looked at again next time', async (t) => {
  const folder = filled(t, {
    'one/a': 'a',
    'one/closed': 'b',
    'two/c': 'c',
    'three/busy': 'd',
    'four/gone': 'e',
  });
  let version = 0;
  const system = systemWith({
    openOwnersAt: (fd, name, row) => {
      if (name.toString() === 'closed') throw systemError('EACCES');
      if (name.toString() === 'gone') throw systemError('ENOENT');
      if (name.toString() === 'busy') {
        version += 1;
        fs.writeFileSync(path.join(folder, 'three/busy'), String(version % 10));
      }
      return native.openOwnersAt(fd, name, row);
    },
  });
  const peer = new FakePeer();
  const { pipeline, failures, done } = startPipeline(folder, peer, { system });
  await done;
  const reported = failures.map(({ path: file, what, reason }) =>
    [path.relative(folder, Buffer.from(file).toString()), what, reason].join(' '),
  );
  t.deepEqual(reported.sort(), [
    'four/gone vanished ENOENT',
    'one/closed unreadable EACCES',
    'three/busy changed read',
  ]);
  t.deepEqual(peer.failures, failures);
  t.deepEqual(
    ['', '/one', '/two', '/three', '/four'].map((directory) => peer.settledOf(directory)),
    [true, false, true, false, false],
  );
  t.is(peer.rows.has('/one/closed'), false);
  t.is(contentOf(peer, '/three/busy')?.toString(), String(version % 10));
  t.like(pipeline.progress, { vanished: 1, unreadable: 1, changed: 1 });
});

test('a directory that cannot be read is reported, after the one it is in', async (t) => {
  const folder = filled(t, { 'closed/x': 'x', 'open/y': 'y' });
  const system = systemWith({
    listOrHold: (directory) => {
      if (directory.toString().endsWith('/closed')) throw systemError('EACCES');
      return native.listDirectory(directory);
    },
  });
  const peer = new FakePeer(); // it refuses a note with an unknown slot
  const { failures, done } = startPipeline(folder, peer, { system });
  await done;
  t.is(failures.length, 1);
  t.deepEqual(pathsAt(peer), ['/closed/', '/open/', '/open/y']);
});

// --- large files -------------------------------------------------------------------------------

const MIB = 1 << 20;

test('a large file comes in a stream, and its row when all of it is there', async (t) => {
  const folder = scratchInMemory(t);
  const large = Buffer.concat([Buffer.alloc(2 * MIB, 'large '), seededRandom(2).bytes(5)]);
  fill(folder, { large, small: 'x' });
  const peer = new FakePeer();
  const { pipeline, done } = startPipeline(folder, peer);
  await done;
  t.true(contentOf(peer, '/large')?.equals(large));
  t.is(peer.streams.length, 1);
  t.like(peer.streams[0], { isPart: false, fileSizeBytes: large.length, isAborted: false });
  t.is(peer.streams[0]!.chunks.length, 3);
  t.true(peer.settledOf(''));
  t.is(pipeline.budget.bytes.used, 0);
});

test('a large file the server may have is hashed first, and not sent if it has it', async (t) => {
  const folder = scratchInMemory(t);
  const [known, fresh] = [Buffer.alloc(2 * MIB, 'known'), Buffer.alloc(2 * MIB, 'fresh')];
  fill(folder, { known, fresh });
  const peer = new FakePeer(false);
  peer.verdictOf = () => Wanted.hashFirst;
  peer.knows = (digest) => digest === sha256(known).toString('hex');
  await startPipeline(folder, peer).done;
  t.deepEqual(peer.rows.get('/known')?.digest, sha256(known));
  t.is(contentOf(peer, '/known'), undefined);
  t.true(contentOf(peer, '/fresh')?.equals(fresh));
  t.is(peer.streams.length, 1);
});

test('a file over the size of a part comes in parts, each with its digest', async (t) => {
  const folder = scratchInMemory(t);
  const bytes = 64 * MIB + 100;
  written(folder, 'huge', Buffer.alloc(bytes));
  const peer = new FakePeer();
  await startPipeline(folder, peer).done;
  t.deepEqual(
    peer.streams.map(({ isPart, sizeBytes, fileSizeBytes }) => [isPart, sizeBytes, fileSizeBytes]),
    [
      [true, 64 * MIB, bytes],
      [true, 100, bytes],
    ],
  );
  const row = peer.rows.get('/huge')!;
  t.deepEqual(peer.assemblies, [{ digest: row.digest!.toString('hex'), sizeBytes: bytes }]);
  t.is(row.sizeBytes, bytes);
  t.is(row.flags, RowFlag.hasDigest);
});

/** Returns a system that calls `beforeOpening` before the n-th opening of a large file. */
function openingSystem(beforeOpening: (opening: number) => void) {
  let opening = 0;
  return systemWith({
    openListedAt: (...values) => {
      opening += 1;
      beforeOpening(opening);
      return native.openListedAt(...values);
    },
  });
}

test('a file in parts that changes between them is flagged, also if each part was at rest', async (t) => {
  const folder = scratchInMemory(t);
  const file = written(folder, 'huge', Buffer.alloc(64 * MIB + 100));
  const system = openingSystem((opening) => {
    fs.utimesSync(file, opening, opening);
  });
  const peer = new FakePeer();
  const { failures, done } = startPipeline(folder, peer, { system });
  await done;
  const { flags } = peer.rows.get('/huge')!;
  t.is(flags, RowFlag.hasDigest | RowFlag.changedWhileRead | RowFlag.unsettled);
  t.deepEqual(
    failures.map(({ what }) => what),
    ['changed'],
  );
  t.false(peer.settledOf(''));
});

test('a large file that has grown beyond what was read of it is flagged', async (t) => {
  const folder = scratchInMemory(t);
  const file = written(folder, 'large', Buffer.alloc(2 * MIB));
  const system = openingSystem((opening) => fs.truncateSync(file, (64 + opening) * MIB));
  const peer = new FakePeer();
  const { failures, done } = startPipeline(folder, peer, { system });
  await done;
  t.true(peer.rows.get('/large')!.sizeBytes >= 64 * MIB);
  t.deepEqual(
    failures.map(({ what }) => what),
    ['changed'],
  );
  t.false(peer.settledOf(''));
});

test('a large file that changes once while it is read is read again', async (t) => {
  const folder = scratchInMemory(t);
  const file = written(folder, 'large', Buffer.alloc(2 * MIB, 'a'));
  let reads = 0;
  const { files } = nodeSystem();
  const read: typeof files.read = (...values) => {
    reads += 1;
    if (reads === 2) fs.appendFileSync(file, 'more');
    return files.read(...values);
  };
  const system = { ...systemWith(), files: { ...files, read } };
  const peer = new FakePeer();
  const { failures, done } = startPipeline(folder, peer, { system });
  await done;
  t.deepEqual(failures, []);
  const { sizeBytes, flags } = peer.rows.get('/large')!;
  t.is(sizeBytes, 2 * MIB + 4);
  t.is(flags & RowFlag.changedWhileRead, 0);
  t.true(contentOf(peer, '/large')!.equals(fs.readFileSync(file)));
});

test('a large file that is gone or closed by now is reported, and does not stop the others', async (t) => {
  const folder = scratchInMemory(t);
  const names = ['closed', 'gone', 'open'];
  fill(folder, Object.fromEntries(names.map((name) => [name, Buffer.alloc(2 * MIB, name)])));
  const system = systemWith({
    openListedAt: (fd, name, identity) => {
      if (name.toString() === 'gone') throw systemError('ENOENT');
      if (name.toString() === 'closed') throw systemError('EACCES');
      return native.openListedAt(fd, name, identity);
    },
  });
  const peer = new FakePeer();
  const { pipeline, failures, done } = startPipeline(folder, peer, { system });
  await done;
  t.deepEqual(failures.map(({ what, reason }) => `${what} ${reason}`).sort(), [
    'unreadable EACCES',
    'vanished ENOENT',
  ]);
  t.deepEqual(pathsAt(peer), ['/open']);
  t.is(peer.streams.filter(({ isAborted }) => !isAborted).length, 1);
  t.false(peer.settledOf(''));
  t.deepEqual([pipeline.budget.bytes.used, pipeline.budget.items.used], [0, 0]);
});
