// Pace: long
/**
 * The disk, or a quota on it, is full at any write of a backup, a backup with deltas, a restore, a change of keys and
 * a rebuild: for that write only, and from it on. TEST_SEED chooses the writes; TEST_SHARE=1 takes every single one. The operation reports a code within 5 s.
 * After it the catalog opens and the finished set restores exactly. With free space the next backup completes
 * without manual work.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { changePassword, newKeyRecord, parseKeyRecord } from '../../src/crypto/index.js';
import { fromWire } from '../../src/errors/index.js';
import { markDamaged } from '../../src/store/writer/index.js';
import { rebuildCatalog } from '../../src/maintenance/rebuild/index.js';
import { changeKeys, type StorageOptions } from '../../src/server/index.js';
import { addKeys, newestKeys, openClientDirectory } from '../../src/store/index.js';
import { type FaultMode, faultySystem } from '../support/faults.js';
import { type System } from '../../src/system/index.js';
import { Ledger, WritePlan } from '../helpers/faults.js';
import {
  backupInline,
  inlineSystem,
  type InlineBackup,
  type Place,
  restoreInline,
  SMALL_STORE,
  withHistory,
} from '../helpers/inline.js';
import { copyAt, freshPaths } from '../helpers/strike.js';
import { makeScratch, removeScratch } from '../helpers/scratch.js';
import {
  differences,
  dir,
  file,
  look,
  makeTree,
  noise,
  type Snapshot,
  text,
} from '../helpers/tree.js';
import { LIGHT } from '../helpers/light.js';
import { partOf, share, sweepShare } from '../helpers/share.js';
import { seed } from '../helpers/seed.js';
import { seededRandom } from '../support/seeded-random.js';

const KIB = 1 << 10;
/** Time within which the user must get the error. It is far beyond what a case takes on a busy machine, and far below a retry without end. */
const SOON_MS = 5000;
const PASSWORDS = { old: Buffer.from('the old one'), next: Buffer.from('the next one') };

const MODES: readonly FaultMode[] = [
  { kind: 'fail-once', code: 'ENOSPC' },
  { kind: 'fail-from', code: 'ENOSPC' },
  { kind: 'fail-once', code: 'EDQUOT' },
  { kind: 'fail-from', code: 'EDQUOT' },
];

/** The number of modes that each of the chosen writes meets. */
const MODES_EACH = Math.min(MODES.length, Math.ceil(share * MODES.length));

/** The share of the writes: each costs some tenths of a second. */
const WRITES_SHARE = Math.min(1, 6 * sweepShare);

/** Limits so low that a backup has several checkpoints and packs, objects, and a reserve. */
const STORAGE: StorageOptions = {
  ...SMALL_STORE,
  store: { packBytes: 64 * KIB, packContentBytes: 100 * KIB, reserveBytes: 32 * KIB },
  checkpoint: { bytes: 48 * KIB, entries: 1000, intervalMs: 3_600_000 },
};

const home = makeScratch();
process.env['XDG_STATE_HOME'] = path.join(home, 'state');
test.after.always(() => removeScratch(home));
const freshPath = freshPaths(home);

const source = path.join(home, 'tree');
const LARGE = noise('large', 1_150_000);

/** Writes the tree in one of its two states. */
function setTree(isChanged: boolean): Snapshot {
  fs.rmSync(source, { recursive: true, force: true });
  const large = Buffer.from(LARGE);
  if (isChanged) noise('change', 3000).copy(large, 500_000);
  makeTree(source, [
    dir('some', [
      file('text', text('a', 9000)),
      file('noise', noise('n', isChanged ? 4000 : 3000)),
    ]),
    file('middle', noise('middle', 70_000)),
    file('large', large),
    ...(isChanged ? [dir('new', [file('one', noise('new', 90_000))])] : [file('old', 'old')]),
  ]);
  return look(source);
}

/** Makes a store with one finished set. */
async function finished(encrypts = false) {
  const place = { store: freshPath('finished'), client: 'me' };
  const wanted = setTree(false);
  const password = encrypts ? { password: PASSWORDS.old.toString() } : {};
  await run(inlineSystem(), place, 'before', { create: true, ...password });
  return { place, wanted };
}

async function run(system: System, place: Place, setName: string, more: InlineBackup = {}) {
  return backupInline(system, place, [source], { storage: STORAGE, setName, ...more });
}

async function requireSet(
  t: ExecutionContext,
  place: Place,
  name: string,
  wanted: Snapshot,
  what: string,
): Promise<void> {
  const output = freshPath('out');
  const failures = await restoreInline(inlineSystem(), place, {
    paths: [source],
    output,
    set: name,
  });
  t.deepEqual(failures.map(String), [], what);
  t.deepEqual(differences(wanted, look(path.join(output, 'tree'))), [], `${what}: set "${name}"`);
  removeScratch(output);
}

/** Error codes that are allowed on a full disk. */
const CODES = new Set(['DISK_FULL', 'TARGET_FULL', 'SOME_FILES_NOT_RESTORED']);

/** Runs `work` on a system that is full at one write. `isDone` is true if it completed. */
async function troubled(
  t: ExecutionContext,
  at: number,
  mode: FaultMode,
  work: (system: System) => Promise<void>,
): Promise<{ isDone: boolean; what: string }> {
  const ledger = new Ledger(inlineSystem());
  const plan = new WritePlan(at, mode);
  const begun = performance.now();
  let isDone = true;
  let code: string | undefined;
  try {
    await work(faultySystem(ledger.system, plan));
  } catch (error) {
    isDone = false;
    code = (error as { code?: string }).code;
  }
  const what = `${JSON.stringify(mode)} at ${at}, ${plan.hit}`;
  t.truthy(plan.hit, what);
  // SQLite reports a quota as an input/output error. A quota that is over at once looks like any other such error.
  const isVague = plan.hit?.startsWith('sql.') === true && mode.kind === 'fail-once';
  const fits = isDone || CODES.has(code ?? '') || (isVague && code === 'IO_FAILED');
  t.true(fits, `${what}: ended with ${code}`);
  t.true(performance.now() - begun < SOON_MS, `${what}: not told soon`);
  t.deepEqual(ledger.open, [], `${what}: still open`);
  ledger.closeAll();
  return { isDone, what };
}

/** Returns the operations that write, of `work` on a disk that is not full. */
async function writesOf(work: (system: System) => Promise<void>): Promise<readonly string[]> {
  const plan = new WritePlan(Infinity, { kind: 'kill' });
  await work(faultySystem(inlineSystem(), plan));
  return plan.seen;
}

const random = seededRandom(seed);
let found = 0;
let hits = 0;

/** Visits a share of the writes: the first and the last one, and at least one of each kind of operation. */
async function atWrites(
  t: ExecutionContext,
  writes: readonly string[],
  visit: (at: number, mode: FaultMode) => Promise<void>,
): Promise<void> {
  t.true(writes.length > 0);
  const all = writes.map((operation, index) => ({ operation, at: index + 1 }));
  const chosen = partOf(all, WRITES_SHARE, random, ({ operation, at }) => [
    operation,
    ...(at === 1 ? ['first'] : []),
    ...(at === writes.length ? ['last'] : []),
  ]);
  found += writes.length;
  let points = 0;
  for (const { at } of chosen) {
    for (let n = 0; n < MODES_EACH; n += 1) {
      await visit(at, MODES[(at + seed + n) % MODES.length]!);
      points += 1;
    }
  }
  hits += points;
  t.log(`seed ${seed}: ${points} times full, of ${writes.length} writes`);
}

interface FullDisk<P> {
  /** Returns what the operation works on: a fresh one, or a copy of what is known. */
  readonly fresh: () => P;
  readonly work: (on: P) => (system: System) => Promise<void>;
  /** Checks what the operation left. */
  readonly check: (on: P, what: string, isDone: boolean) => Promise<void>;
  /** Returns the folder that is not needed any more after the check. */
  readonly folder: (on: P) => string;
}

/** Runs an operation on a disk that is full at a share of its writes, each time on something fresh. */
async function onFullDisk<P>(
  t: ExecutionContext,
  { fresh, work, check, folder }: FullDisk<P>,
): Promise<void> {
  const writes = await writesOf(work(fresh()));
  await atWrites(t, writes, async (at, mode) => {
    const on = fresh();
    const { isDone, what } = await troubled(t, at, mode, work(on));
    await check(on, what, isDone);
    removeScratch(folder(on));
  });
}

const storeOf = ({ store }: Place): string => store;

/** Opens the catalog, as a user would do first, and returns the names of the sets in a state. */
async function setNames(place: Place, state: string): Promise<string[]> {
  const sets = await withHistory(place, (history) => history.sets());
  return sets.filter((set) => set.state === state).map(({ name }) => name);
}

/** Runs the next backup, with free space, and checks it. */
async function nextRun(t: ExecutionContext, place: Place, wanted: Snapshot, what: string) {
  try {
    await run(inlineSystem(), place, 'after', { create: true });
  } catch (error) {
    if ((error as { code?: string }).code !== 'CLIENT_EXISTS') throw error;
    t.not((await setNames(place, 'complete')).length, 0, `${what}: its maker may go on`);
    await run(inlineSystem(), place, 'after');
  }
  t.deepEqual(await setNames(place, 'unfinished'), [], what);
  await requireSet(t, place, 'after', wanted, what);
}

test.serial('a first backup', async (t) => {
  const wanted = setTree(false);
  await onFullDisk(t, {
    fresh: () => ({ store: freshPath('store'), client: 'me' }),
    work: (place) => async (system) => {
      await run(system, place, 'full', { create: true });
    },
    check: async (place, what, isDone) => {
      if (isDone) await requireSet(t, place, 'full', wanted, what);
      await nextRun(t, place, wanted, what);
    },
    folder: storeOf,
  });
});

test.serial('a backup with deltas', async (t) => {
  const known = await finished();
  const wanted = setTree(true);
  await onFullDisk(t, {
    fresh: () => copyAt(known.place, freshPath('store')),
    work: (place) => async (system) => {
      await run(system, place, 'full');
    },
    check: async (place, what, isDone) => {
      await requireSet(t, place, 'before', known.wanted, what);
      if (isDone) await requireSet(t, place, 'full', wanted, what);
      await nextRun(t, place, wanted, what);
    },
    folder: storeOf,
  });
});

test.serial('a restore: the store needs no byte, the target is reported as full', async (t) => {
  const { place, wanted } = await finished();
  const restore =
    (output: string) =>
    async (system: System): Promise<void> => {
      // A reader's SQL begins and ends transactions but writes nothing, so it gets no faults; see fill-up.test.ts.
      const { openDatabase } = inlineSystem();
      const request = { paths: [source], output };
      const failures = await restoreInline({ ...system, openDatabase }, place, request);
      const [first] = failures;
      if (first !== undefined) throw fromWire(first.error);
    };
  const isWhole = (output: string, what: string): void => {
    t.deepEqual(differences(wanted, look(path.join(output, 'tree'))), [], what);
  };
  await onFullDisk(t, {
    fresh: () => freshPath('full'),
    work: restore,
    check: async (output, what, isDone) => {
      if (isDone) isWhole(output, what);
      // The same command again, with free space.
      await restore(output)(inlineSystem()).catch((error: unknown) =>
        t.fail(`${what}: ${String(error)}`),
      );
      isWhole(output, `${what}, then again`);
    },
    folder: (output) => output,
  });
});

test.serial('a change of keys', async (t) => {
  const known = await finished();
  const { native } = inlineSystem();
  const keysOf = (place: Place) => openClientDirectory(inlineSystem(), place);
  const old = (await newKeyRecord(native.modPow, PASSWORDS.old, false, LIGHT)).record;
  await addKeys(inlineSystem(), keysOf(known.place).path, { number: 1, bytes: old.bytes });
  const next = (
    await changePassword(native.modPow, old, PASSWORDS.old, { password: PASSWORDS.next })
  ).record;
  const change =
    (place: Place) =>
    async (system: System): Promise<void> => {
      await changeKeys(system, openClientDirectory(system, place), next.bytes);
    };
  const newest = (place: Place): number =>
    parseKeyRecord(newestKeys(inlineSystem(), keysOf(place).path)!.bytes).number;
  await onFullDisk(t, {
    fresh: () => copyAt(known.place, freshPath('store')),
    work: change,
    check: async (place, what, isDone) => {
      t.true(isDone ? newest(place) === 2 : newest(place) <= 2, what);
      if (newest(place) === 1) await change(place)(inlineSystem());
      t.is(newest(place), 2, what);
      await requireSet(t, place, 'before', known.wanted, what);
    },
    folder: storeOf,
  });
});

test.serial('a rebuild leaves the catalog that it was to replace', async (t) => {
  const known = await finished();
  const wanted = setTree(true);
  await onFullDisk(t, {
    fresh: () => copyAt(known.place, freshPath('store')),
    work: (place) => async (system) => {
      await rebuildCatalog(system, openClientDirectory(system, place));
    },
    check: async (place, what) => {
      await requireSet(t, place, 'before', known.wanted, what);
      await nextRun(t, place, wanted, what);
    },
    folder: storeOf,
  });
});

test.serial('an event between sessions', async (t) => {
  const known = await finished();
  const wanted = setTree(true);
  const digest = createHash('sha256').update(LARGE).digest();
  await onFullDisk(t, {
    fresh: () => copyAt(known.place, freshPath('store')),
    work: (place) => async (system) => {
      await markDamaged(system, openClientDirectory(system, place), STORAGE.store, [digest]);
    },
    check: (place, what) => nextRun(t, place, wanted, what),
    folder: storeOf,
  });
});

test.serial('all in all there are at least 250 writes', (t) => {
  t.true(found >= 250, `${found}`);
  t.true(hits >= 250 * WRITES_SHARE * MODES_EACH, `${hits}`);
});
