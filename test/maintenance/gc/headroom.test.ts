/** Space counts as short until there is room for a backup, not only for its beginning. */
import test from 'ava';
import { Headroom } from '../../../src/maintenance/gc/index.js';
import type { StoreWriter } from '../../../src/store/writer/index.js';

const MIB = 1 << 20;
const WISH = { wantedFreeBytes: 48 * MIB, graceMs: 3_600_000, isResumed: false };

function headroomOf(
  freeMib: number,
  request = WISH,
): { headroom: Headroom; disk: { freeBytes: number } } {
  const disk = { freeBytes: freeMib * MIB, sizeBytes: 16 * MIB };
  const store = { reserve: disk } as unknown as StoreWriter;
  return { headroom: new Headroom(store, request, () => 0), disk };
}

test('space that begins short stays short until twice the wanted bytes are free', (t) => {
  const { headroom, disk } = headroomOf(40);
  t.true(headroom.isShort);
  disk.freeBytes = 64 * MIB;
  t.true(headroom.isShort, 'a backup could begin, and would fill the disk');
  t.is(headroom.graceMs, 0, 'what is removed leaves the disk at once');
  t.true(
    headroom.bytes > 64 * MIB,
    'a pack larger than what is free above the wanted bytes is rewritten',
  );
  disk.freeBytes = 96 * MIB;
  t.false(headroom.isShort);
  t.is(headroom.graceMs, WISH.graceMs);
});

test('space that is enough at the start is not short, and becomes so below the wanted bytes', (t) => {
  const { headroom, disk } = headroomOf(64);
  t.false(headroom.isShort);
  t.true(headroom.bytes <= 16 * MIB, 'a run leaves the wanted bytes free');
  disk.freeBytes = 47 * MIB;
  t.true(headroom.isShort);
});

test('a run that follows an interrupted one goes on until twice the wanted bytes are free', (t) => {
  const { headroom, disk } = headroomOf(64, { ...WISH, isResumed: true });
  t.true(headroom.isShort);
  disk.freeBytes = 96 * MIB;
  t.false(headroom.isShort);
  disk.freeBytes = 64 * MIB;
  t.false(headroom.isShort);
});
