// Pace: slow
/** The reserve of a client is as large as what it must save, up to its limit, before that arrives. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { assert, integer, property } from 'fast-check';
import { Headroom } from '../../../src/maintenance/gc/index.js';
import { openClientDirectory } from '../../../src/store/index.js';
import {
  NOTHING_RECEIVED,
  Reserve,
  reserveFor,
  storedSizes,
  type StoreWriter,
} from '../../../src/store/writer/index.js';
import { nodeSystem, type System } from '../../../src/system/index.js';
import { thrownCode } from '../../helpers/codes.js';
import { inlineLab, inlineSystem, SMALL_STORE } from '../../helpers/inline.js';
import { scratchInMemory } from '../../helpers/scratch.js';
import { dir, file, noise, sizeOf, type TreeNode } from '../../helpers/tree.js';

const KIB = 1 << 10;
const MIB = 1 << 20;

function reserveIn(
  t: ExecutionContext,
  reserveBytes: number | undefined,
  system = nodeSystem(),
): { reserve: Reserve; file: string } {
  const directory = scratchInMemory(t);
  const limits = reserveBytes === undefined ? {} : { reserveBytes };
  return { reserve: new Reserve(system, directory, limits), file: path.join(directory, 'reserve') };
}

/** Returns a system on whose disk files have room for `roomBytes` in all. */
function smallDisk(roomBytes: number): System {
  const system = nodeSystem();
  let left = roomBytes;
  const files = {
    ...system.files,
    freeBytes: () => left,
    write(fd: number, data: Uint8Array, at: number): void {
      if (data.length > left) throw Object.assign(new Error('full'), { code: 'ENOSPC' });
      left -= data.length;
      system.files.write(fd, data, at);
    },
    truncate(fd: number, sizeBytes: number): void {
      left += system.files.statusOf(fd).sizeBytes - sizeBytes;
      system.files.truncate(fd, sizeBytes);
    },
    unlink(file: string): void {
      left += system.files.status(file)?.sizeBytes ?? 0;
      system.files.unlink(file);
    },
  };
  return { ...system, files };
}

test('a reserve grows in steps up to its limit, and keeps the bytes that it has', (t) => {
  const { reserve, file: at } = reserveIn(t, 3 * MIB);
  reserve.cover(MIB);
  t.false(fs.existsSync(at), 'there is no session yet');
  reserve.require(300 * KIB);
  t.is(fs.statSync(at).size, 512 * KIB);
  const before = fs.readFileSync(at);
  reserve.cover(500 * KIB);
  t.is(fs.statSync(at).size, 512 * KIB);
  reserve.cover(513 * KIB);
  t.is(fs.statSync(at).size, 768 * KIB, 'by half at least');
  t.true(fs.readFileSync(at).subarray(0, before.length).equals(before));
  reserve.cover(100 * MIB);
  t.is(fs.statSync(at).size, 3 * MIB);
  const { ino } = fs.statSync(at);
  reserve.cover(200 * MIB);
  t.is(fs.statSync(at).ino, ino);
});

test('a reserve becomes smaller only at the start of a session, if it is far too large or above its limit', (t) => {
  const { reserve, file: at } = reserveIn(t, 4 * MIB);
  reserve.require(4 * MIB);
  reserve.require(MIB);
  t.is(fs.statSync(at).size, 4 * MIB);
  reserve.require(700 * KIB);
  t.is(fs.statSync(at).size, 768 * KIB);
  fs.writeFileSync(at, Buffer.alloc(5 * MIB));
  reserve.require(2 * MIB);
  t.is(fs.statSync(at).size, 2 * MIB);
  const none = new Reserve(nodeSystem(), path.dirname(at), { reserveBytes: 0 });
  none.require(MIB);
  t.deepEqual(fs.readdirSync(path.dirname(at)), []);
});

test('a reserve that cannot grow ends the session, and is as large as the disk allows', (t) => {
  const { reserve, file: at } = reserveIn(t, 16 * MIB, smallDisk(2 * MIB));
  reserve.require(MIB);
  t.is(
    thrownCode(() => reserve.cover(4 * MIB)),
    'DISK_FULL',
  );
  t.is(fs.statSync(at).size, 2 * MIB - 256 * KIB);
  t.true(reserve.release());
  reserve.cover(4 * MIB);
  t.false(fs.existsSync(at), 'a reserve that was released stays so in its session');
  reserve.restore();
  t.true(fs.existsSync(at));
});

test('without a limit, a reserve is made again as it was', (t) => {
  const { reserve, file: at } = reserveIn(t, undefined);
  reserve.require(MIB);
  t.false(fs.existsSync(at));
  fs.writeFileSync(at, Buffer.alloc(700_000));
  reserve.require(MIB);
  reserve.release();
  reserve.restore(8 * MIB);
  t.is(fs.statSync(at).size, 700_000);
});

test('on a disk without a free byte, garbage collection may copy all packs, and an image of the catalog', (t) => {
  const size = integer({ min: 0, max: 64 * MIB });
  assert(
    property(size, size, (catalogBytes, packBytes) => {
      const sizeBytes = reserveFor({ catalogBytes, packBytes }, NOTHING_RECEIVED);
      const store = { reserve: { freeBytes: 0, sizeBytes } } as unknown as StoreWriter;
      const request = { wantedFreeBytes: MIB, graceMs: 0, isResumed: false };
      const headroom = new Headroom(store, request, () => catalogBytes);
      return headroom.bytes >= packBytes + catalogBytes;
    }),
  );
  t.pass();
});

/** Trees whose rows are short, long, many, or hardly any beside the contents. */
const TREES: Readonly<Record<string, () => TreeNode[]>> = {
  'one file': () => [file('a', 'a')],
  'directories with names of one letter': () =>
    'abcdefghijklmnopqrst'.split('').map((name) =>
      dir(
        name,
        'ABCDEFGHIJKLMNOPQRST'.split('').map((inner) => dir(inner)),
      ),
    ),
  'empty files': () =>
    Array.from({ length: 3000 }, (_, index) => file(((index * 7919) % 3000).toString(36))),
  'small files with contents of their own': () =>
    Array.from({ length: 1500 }, (_, index) => file(`${(index * 997) % 1500}`, noise(index, 40))),
  'long names': () =>
    Array.from({ length: 500 }, (_, index) => file(`${index}${'x'.repeat(240)}`, `${index % 9}`)),
  'large files': () => [1, 2, 3].map((index) => file(`${index}`, noise(index, 600_000))),
};

for (const [name, tree] of Object.entries(TREES)) {
  test(`what was reserved before it arrived covers what a store holds: ${name}`, async (t) => {
    const { place, backup } = inlineLab(t, tree());
    const mostBytes = 256 * MIB;
    const storage = {
      ...SMALL_STORE,
      store: { ...SMALL_STORE.store, reserveBytes: mostBytes },
      checkpoint: { bytes: 64 * MIB, entries: 1_000_000, intervalMs: 3_600_000 },
    };
    await backup({ storage });
    const directory = openClientDirectory(inlineSystem(), place);
    const reserved = fs.statSync(path.join(directory.path, 'reserve')).size;
    const sizes = storedSizes(nodeSystem(), directory, mostBytes);
    const needed = reserveFor(sizes, NOTHING_RECEIVED);
    t.true(reserved >= needed, `${reserved} of ${needed} bytes for ${JSON.stringify(sizes)}`);
    t.true(sizes.packBytes > 0 && sizes.catalogBytes > 0);
    if (name !== 'one file') return;
    const taken = reserved + sizeOf(place.store);
    t.true(taken <= 1.5e6, `an almost empty client takes ${taken} bytes`);
  });
}

test('whatever error a directory causes that is gone, the store is named as gone', (t) => {
  const { reserve, file: name } = reserveIn(t, undefined);
  const failed = (code: string): Error => Object.assign(new Error(code), { code });
  const codes = ['ENOENT', 'SQLITE_READONLY_DBMOVED', 'SQLITE_IOERR_DELETE', 'SQLITE_CANTOPEN'];
  t.like(reserve.explain(failed('SQLITE_IOERR_DELETE')), { code: 'IO_FAILED' }, 'it is there');
  fs.rmSync(path.dirname(name), { recursive: true });
  for (const code of codes) t.like(reserve.explain(failed(code)), { code: 'NO_SUCH_STORE' }, code);
  t.not((reserve.explain(failed('EIO')) as { code: string }).code, 'NO_SUCH_STORE', 'of the disk');
});
