// Pace: slow
/**
 * Garbage collection on a nearly full disk: it writes a bounded number of bytes at once, and each step frees what it
 * used.
 */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { asTardisError } from '../../../src/errors/index.js';
import type { System } from '../../../src/system/index.js';
import { checkInline } from '../../helpers/damage.js';
import {
  backupInline,
  inlineLab,
  inlineSystem,
  type Place,
  rebuildInline,
  SMALL_STORE,
} from '../../helpers/inline.js';
import { dumpedHistory } from '../../helpers/rewrites.js';
import { noise, sizeOf } from '../../helpers/tree.js';
import { bySet, deleteInline, collectInline } from '../../helpers/garbage.js';

const KIB = 1 << 10;
const MIB = 1 << 20;
const FILES = 60;
const FILE_BYTES = 40 * KIB;
/** Bytes of a pack, more than may be written at once. */
const PACK_BYTES = 4 * MIB;
const SPARE_BYTES = 700 * KIB;
const STORAGE = {
  ...SMALL_STORE,
  store: { packBytes: PACK_BYTES, packContentBytes: 128 * KIB },
  checkpoint: { bytes: 16 * MIB, entries: 1000, intervalMs: 3_600_000 },
};
const SHORT = { wantedFreeBytes: 1024 * MIB, limits: STORAGE.store };

/** Makes a store of two sets that share half of one large pack, and drops the first set. */
async function halfDead(t: ExecutionContext): Promise<{ place: Place; packs: string }> {
  const { place, source, backup } = inlineLab(t, []);
  for (const round of [1, 2]) {
    for (let file = 0; file < FILES; file += round) {
      fs.writeFileSync(path.join(source, `f${file}`), noise(`${round} ${file}`, FILE_BYTES));
    }
    await backup({ storage: STORAGE });
  }
  await deleteInline(place, [1]);
  return { place, packs: path.join(place.store, 'me', 'packs') };
}

/** Returns a system that always reports the same free space. It calls `onCut` before a file is truncated. */
function shortSystem(onCut: (sizeBytes: number) => void): System {
  const { files } = inlineSystem();
  return inlineSystem({
    files: {
      ...files,
      freeBytes: () => SPARE_BYTES,
      truncate: (fd, sizeBytes) => {
        onCut(sizeBytes);
        files.truncate(fd, sizeBytes);
      },
    },
  });
}

/** A truncation to fewer bytes than this is not one of a pack. */
const MOST_SUMS_BYTES = 64 << 10;

test('a pack that does not fit is moved from its end, and cut off behind each piece', async (t) => {
  const { place, packs } = await halfDead(t);
  const reported = await dumpedHistory(place);
  const first = fs.statSync(path.join(packs, '00000001.pack')).size;
  const before = sizeOf(packs);
  const cuts: number[] = [];
  let most = 0;
  const system = shortSystem((to) => {
    if (to < MOST_SUMS_BYTES) return; // the file of page checksums is truncated before each block
    cuts.push(to);
    most = Math.max(most, sizeOf(packs));
  });
  const report = await collectInline(place, SHORT, system);
  t.true(report.isDone);
  t.true(cuts.length >= 2, cuts.join());
  t.deepEqual(
    cuts.toSorted((one, other) => other - one),
    cuts,
    'each is before the last',
  );
  t.true(cuts.every((to) => to < first && to > 0));
  t.true(most < before + SPARE_BYTES, `at most ${most} bytes, ${before} before`);
  t.false(fs.existsSync(path.join(packs, '00000001.pack')), 'in the end it is gone');
  t.deepEqual(await dumpedHistory(place), reported);
  t.deepEqual((await checkInline(place)).findings, []);
  t.is((await rebuildInline(place)).damagedRecords, 0);
  t.deepEqual(await dumpedHistory(place), reported, 'rebuilt');
});

test('a pack that is being cut off can be left at any moment', async (t) => {
  const { place, packs } = await halfDead(t);
  const reported = await dumpedHistory(place);
  const file = path.join(packs, '00000001.pack');
  let failures = 0;
  const system = shortSystem(() => {
    throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
  });
  // Each run fails at its first truncation of the pack, and the next one has less to move.
  while (fs.existsSync(file)) {
    const failure = await collectInline(place, SHORT, system).then(
      () => undefined,
      (error: unknown) => asTardisError(error),
    );
    if (failure !== undefined) {
      t.is(failure.code, 'IO_FAILED');
      failures += 1;
    }
    t.true(failures < PACK_BYTES / FILE_BYTES, 'each run moves a file or more');
    t.deepEqual(await dumpedHistory(place), reported, 'the event is there, the end too');
    t.deepEqual((await checkInline(place)).findings, []);
    t.is((await rebuildInline(place)).damagedRecords, 0);
    t.deepEqual(await dumpedHistory(place), reported, 'rebuilt');
  }
  t.true(failures > 0);
});

test('a run after an interrupted one still treats space as short', async (t) => {
  const { place, packs } = await halfDead(t);
  const stopping = shortSystem((to) => {
    if (to < PACK_BYTES / 4) throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
  });
  await t.throwsAsync(collectInline(place, SHORT, stopping), { code: 'IO_FAILED' });
  const { files } = inlineSystem();
  const between = inlineSystem({
    files: { ...files, freeBytes: () => 1.5 * SHORT.wantedFreeBytes },
  });
  t.true((await collectInline(place, { ...SHORT, wasteRatio: 0.99 }, between)).isDone);
  t.false(fs.existsSync(path.join(packs, '00000001.pack')));
});

test('a backup between two pieces sends again what was cut off', async (t) => {
  const { place, packs } = await halfDead(t);
  const stopping = shortSystem((to) => {
    if (to < PACK_BYTES / 4) throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
  });
  await t.throwsAsync(collectInline(place, SHORT, stopping), { code: 'IO_FAILED' });
  const source = path.join(path.dirname(place.store), 'tree');
  // The contents of the first set. Their records are dead or cut off now.
  for (let file = 0; file < FILES; file += 2) {
    fs.writeFileSync(path.join(source, `f${file}`), noise(`1 ${file}`, FILE_BYTES));
  }
  await backupInline(inlineSystem(), place, [source], { storage: STORAGE });
  const reported = bySet(await dumpedHistory(place)).get(3)!;
  t.true(reported.length > FILES);
  t.false(reported.some((line) => line.includes('lost')));
  t.true(
    (
      await collectInline(
        place,
        SHORT,
        shortSystem(() => undefined),
      )
    ).isDone,
  );
  t.deepEqual((await checkInline(place)).findings, []);
  await rebuildInline(place);
  t.deepEqual(bySet(await dumpedHistory(place)).get(3), reported);
  t.true(fs.readdirSync(packs).length > 0);
});

test('what a step left half written takes no room', async (t) => {
  const { place, packs } = await halfDead(t);
  const before = sizeOf(packs);
  const { files } = inlineSystem();
  const full = inlineSystem({ files: { ...files, freeBytes: () => 0 } });
  const error = asTardisError(await t.throwsAsync(collectInline(place, SHORT, full)));
  t.is(error.code, 'DISK_FULL');
  t.regex(error.message, /is full: 0 B are free; [\d.]+ [kM]B that no set needs would be freed/);
  t.true(sizeOf(packs) < before + 4 * KIB, 'only a commit was added');
});
