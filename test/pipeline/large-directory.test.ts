// Pace: slow
/** Directories with more names than one listing holds in memory are listed in pages, and only if they differ. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { NO_EXCLUDES } from '../support/no-excludes.js';
import { nodeSystem, systemClock, type System } from '../../src/system/index.js';
import { Wanted } from '../../src/transport/index.js';
import { FakePeer } from '../helpers/fake-peer.js';
import { fill, filled, systemError, systemWith } from '../helpers/jobs.js';
import { pathsAt, startPipeline } from '../helpers/pipelines.js';

const { native } = nodeSystem();
/** A clock by which no change of the test is so recent that another one could go unnoticed. */
const LATER = { ...systemClock, nowMs: () => systemClock.nowMs() + 60_000 };
/** Number of names, enough for several pages. */
const NAMES = 9000;

/** Makes a folder with one large directory (`many`) and a small one. */
function makeFolder(t: ExecutionContext): string {
  const folder = filled(t, {
    'few/a': 'a',
    'many/sub/b': 'b',
    'many/name 00005': 'five',
    'many/z/': '',
  });
  for (let index = 0; index < NAMES; index += 1) {
    if (index !== 5) fs.writeFileSync(path.join(folder, 'many', nameOf(index)), '');
  }
  return folder;
}

function nameOf(index: number): string {
  return `name ${String(index).padStart(5, '0')}`;
}

/**
 * Returns a system in which directories of more than 100 names are large. The numbers of held listings are added to
 * `held`.
 */
function largeFrom100(
  held: number[] = [],
  more: Partial<System['native']> = {},
  clock = LATER,
): System {
  const calls: Partial<System['native']> = {
    listOrHold: (at, _most, identity) => {
      const listed = native.listOrHold(at, 100, identity);
      if (typeof listed === 'number') held.push(listed);
      return listed;
    },
    ...more,
  };
  return systemWith(calls, clock);
}

function assertDropped(t: ExecutionContext, held: readonly number[]): void {
  t.true(held.length > 0);
  for (const each of held) {
    const error = t.throws(() => native.heldNames(each));
    t.is((error as NodeJS.ErrnoException).code, 'EINVAL', 'nothing is held any more');
  }
}

test('a large directory arrives whole, is settled, and nothing of it stays held', async (t) => {
  const folder = makeFolder(t);
  const held: number[] = [];
  const peer = new FakePeer();
  const { pipeline, failures, done } = startPipeline(folder, peer, { system: largeFrom100(held) });
  await done;
  t.deepEqual(failures, []);
  const expected = ['/few/', '/few/a', '/many/', '/many/sub/', '/many/sub/b', '/many/z/'];
  for (let index = 0; index < NAMES; index += 1) expected.push(`/many/${nameOf(index)}`);
  t.deepEqual(pathsAt(peer), expected.sort());
  for (const directory of ['', '/few', '/many', '/many/sub', '/many/z']) {
    t.true(peer.settledOf(directory), directory);
  }
  t.is(pipeline.progress.entries, NAMES + 6);
  t.is(pipeline.budget.items.used, 0);
  assertDropped(t, held);
});

test('an unchanged large directory is not listed, but what is below it is looked at', async (t) => {
  const folder = makeFolder(t);
  const held: number[] = [];
  const peer = new FakePeer(false);
  peer.isSame = (at) => at === '/many';
  const { pipeline, done } = startPipeline(folder, peer, { system: largeFrom100(held) });
  await done;
  t.deepEqual(pathsAt(peer), ['/few/', '/few/a', '/many/', '/many/sub/b']);
  t.is(pipeline.progress.listings, 4, 'the root, few, many/sub and many/z');
  t.is(pipeline.budget.items.used, 0);
  assertDropped(t, held);
});

test('of a large directory that differs only what is wanted is sent', async (t) => {
  const folder = makeFolder(t);
  const peer = new FakePeer(false);
  const wanted = new Set(['/many/name 00005', '/many/name 08999', '/many/sub']);
  peer.verdictOf = (at) => (wanted.has(at) ? Wanted.yes : Wanted.no);
  const { done } = startPipeline(folder, peer, { system: largeFrom100() });
  await done;
  t.deepEqual(pathsAt(peer), ['/many/name 00005', '/many/name 08999', '/many/sub/']);
  t.true(peer.settledOf('/many'));
});

test('the hash of a large directory depends on every page, and on nothing else', async (t) => {
  const folder = makeFolder(t);
  const hashOf = async (): Promise<string> => {
    let found = '';
    const peer = new FakePeer(false);
    const heads = peer.heads.bind(peer);
    peer.heads = (batch) => {
      batch.slots.forEach((_slot, index) => {
        const hash = Buffer.from(batch.hashes.subarray(index * 32, (index + 1) * 32));
        if (index === 2) found = hash.toString('hex');
      });
      return heads(batch);
    };
    await startPipeline(folder, peer, { system: largeFrom100() }).done;
    return found;
  };
  const before = await hashOf();
  t.regex(before, /^(?!0{64})[0-9a-f]{64}$/);
  t.is(await hashOf(), before);
  for (const index of [0, 4095, 4096, NAMES - 1]) {
    const file = path.join(folder, 'many', nameOf(index));
    fs.chmodSync(file, 0o600);
    t.not(await hashOf(), before, nameOf(index));
    fs.chmodSync(file, 0o644);
  }
});

test('a large directory that changes between its hash and its listing is not settled', async (t) => {
  const folder = makeFolder(t);
  let listings = 0;
  const system = largeFrom100([], {
    heldRows: (held, from, names) => {
      if (from === 0 && (listings += 1) === 2) {
        fs.chmodSync(path.join(folder, 'many', nameOf(7)), 0o600);
      }
      return native.heldRows(held, from, names);
    },
  });
  const peer = new FakePeer();
  await startPipeline(folder, peer, { system }).done;
  t.is(listings, 2);
  t.false(peer.settledOf('/many'));
  t.true(peer.settledOf('/few'));
  t.is(peer.rows.get('/many/name 00007')!.permissions, 0o600);
});

test('entries of a large directory that may change again are marked', async (t) => {
  const folder = makeFolder(t);
  const { ctimeMs } = fs.statSync(path.join(folder, 'many', nameOf(1)));
  const clock = { ...systemClock, nowMs: () => ctimeMs + 1000 };
  const peer = new FakePeer();
  await startPipeline(folder, peer, { system: largeFrom100([], {}, clock) }).done;
  t.false(peer.settledOf('/many'));
  t.not(peer.rows.get('/many/name 00001')!.flags, 0);
});

test('rules hold in a large directory and below it', async (t) => {
  const folder = makeFolder(t);
  fill(folder, { 'many/.rules': 'name 01*\nb\n!name 01234\n', 'many/sub/c': '' });
  const peer = new FakePeer();
  const excludes = { ...NO_EXCLUDES, ruleFileNames: ['.rules'] };
  const { pipeline, done } = startPipeline(folder, peer, { system: largeFrom100(), excludes });
  await done;
  const paths = pathsAt(peer);
  t.deepEqual(
    paths.filter((at) => at.startsWith('/many/name 01')),
    ['/many/name 01234'],
  );
  t.is(paths.filter((at) => at.startsWith('/many/name')).length, NAMES - 999);
  t.false(paths.includes('/many/sub/b'));
  t.true(paths.includes('/many/sub/c'));
  t.is(pipeline.progress.leftOut, 1000);
  t.true(peer.settledOf('/many'));
});

test('a mark empties a large directory', async (t) => {
  const folder = makeFolder(t);
  fill(folder, { 'many/.skip': '' });
  const peer = new FakePeer();
  const excludes = { ...NO_EXCLUDES, skipFileNames: ['.skip'] };
  const { done } = startPipeline(folder, peer, { system: largeFrom100(), excludes });
  await done;
  t.deepEqual(pathsAt(peer), ['/few/', '/few/a', '/many/']);
});

test('what cannot be looked at in a large directory is reported once', async (t) => {
  const folder = makeFolder(t);
  const system = largeFrom100([], {
    heldRows: (held, from, names) => {
      const rows = native.heldRows(held, from, names);
      if (from === 4096) rows[9]! |= 4; // unreadable
      return rows;
    },
  });
  const peer = new FakePeer();
  const { failures, done } = startPipeline(folder, peer, { system });
  await done;
  t.deepEqual(
    failures.map(({ what, path: at }) => [what, Buffer.from(at).toString()]),
    [['unreadable', path.join(folder, 'many', nameOf(4096))]],
  );
  t.false(peer.settledOf('/many'));
});

test('a large directory that cannot be read to its end is noted, and nothing stays held', async (t) => {
  const folder = makeFolder(t);
  const held: number[] = [];
  const system = largeFrom100(held, {
    heldRows: (number, from, names) => {
      if (from > 0) throw systemError('EIO');
      return native.heldRows(number, from, names);
    },
  });
  const peer = new FakePeer();
  const { failures, done } = startPipeline(folder, peer, { system });
  await done;
  t.deepEqual(
    failures.map(({ what, reason }) => [what, reason]),
    [['unreadable', 'EIO']],
  );
  t.deepEqual(pathsAt(peer), ['/few/', '/few/a', '/many/']);
  assertDropped(t, held);
});

test('when the server fails in the middle of a large listing nothing stays held', async (t) => {
  const folder = makeFolder(t);
  const held: number[] = [];
  const peer = new FakePeer(false);
  const listing = peer.listing.bind(peer);
  let pages = 0;
  peer.listing = (slot, rows, isLast) => {
    if (rows.length > 100_000 && (pages += 1) === 2) throw systemError('EPIPE');
    return listing(slot, rows, isLast);
  };
  await t.throwsAsync(startPipeline(folder, peer, { system: largeFrom100(held) }).done);
  assertDropped(t, held);
});
