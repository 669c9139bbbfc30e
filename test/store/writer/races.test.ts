// Pace: slow
/** Garbage collection beside other work: no process is locked out or waits long, and nothing needed is deleted. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Access, type History, openHistoryIn } from '../../../src/history/index.js';
import { newRestoreProgress, runRestore } from '../../../src/restore/index.js';
import { lockClient, openClientDirectory, tryLock } from '../../../src/store/index.js';
import type { System } from '../../../src/system/index.js';
import { seededRandom } from '../../support/seeded-random.js';
import { InlineJobs } from '../../../src/workers/index.js';
import { rejectedCode } from '../../helpers/codes.js';
import {
  backupInline,
  inlineLab,
  inlineSystem,
  type Place,
  restoreInline,
} from '../../helpers/inline.js';
import { dumpedHistory } from '../../helpers/rewrites.js';
import { folderIn, scratch } from '../../helpers/scratch.js';
import { differences, look, noise } from '../../helpers/tree.js';
import { bySet, changeTree, deleteInline, collectInline } from '../../helpers/garbage.js';
import { pause } from '../../helpers/until.js';

/** The longest wait for garbage collection; on a quiet machine it is about 50 ms. */
const LONGEST_WAIT_MS = 1000;

async function withSets(t: ExecutionContext, sets: number) {
  const home = scratch(t);
  const place: Place = { store: path.join(home, 'store'), client: 'me' };
  const source = path.join(home, 'tree');
  const random = seededRandom(sets);
  const change = (round: number): void => changeTree(source, round, random);
  for (let round = 1; round <= sets; round += 1) {
    change(round);
    await backupInline(inlineSystem(), place, [source], { create: round === 1 });
  }
  return { home, place, source, change };
}

/** Returns the entries of sets without the last set of each version, which a later set may change. */
function withoutEnds(sets: ReadonlyMap<number, readonly string[]>): string[] {
  return [...sets.values()].flat().map((line) => line.replace(/,\d*$/, ''));
}

/** Returns a history that runs `work` once, between looking up a content and reading it. */
function interrupted(history: History, work: () => Promise<void>): History {
  let isDone = false;
  return new Proxy(history, {
    get(target, key): unknown {
      const member: unknown = Reflect.get(target, key);
      if (key !== 'locate') return typeof member === 'function' ? member.bind(target) : member;
      return async (...values: Parameters<History['locate']>) => {
        const found = await target.locate(...values);
        if (!isDone) {
          isDone = true;
          await work();
        }
        return found;
      };
    },
  });
}

test.serial('a restore finds what was moved and deleted under its hands', async (t) => {
  const { home, place, source } = await withSets(t, 6);
  const wanted = look(source);
  const packsBefore = new Set(fs.readdirSync(path.join(place.store, 'me', 'packs')));
  const system = inlineSystem();
  // This history holds no transaction, because it shares the thread with the writer.
  const history = openHistoryIn(
    system,
    openClientDirectory(system, place),
    new Access(undefined),
    0,
  );
  const jobs = new InlineJobs(system);
  const beneath = interrupted(history, async () => {
    await deleteInline(place, [1, 2, 3, 4, 5]);
    const { deletedFiles } = await collectInline(place, { wasteRatio: 0.01 });
    t.true(deletedFiles > 0);
  });
  const set = (await history.findSet(undefined)).set;
  const { failures } = await runRestore(
    system,
    { history: beneath, jobs, progress: newRestoreProgress() },
    {
      set,
      paths: [Buffer.from(source)],
      output: Buffer.from(path.join(home, 'out')),
      workers: 1,
      numericIds: false,
      policy: {},
    },
  );
  await jobs.close();
  history.close();
  t.deepEqual(failures, []);
  t.deepEqual(differences(wanted, look(path.join(home, 'out', 'tree'))), []);
  const left = fs.readdirSync(path.join(place.store, 'me', 'packs'));
  t.true(left.some((name) => !packsBefore.has(name)) && left.length < packsBefore.size);
});

test.serial(
  'a backup that comes while sets are cleared up does not wait, and both get their way',
  async (t) => {
    const { place, source, change } = await withSets(t, 6);
    await deleteInline(place, [1, 2, 3]);
    const kept = withoutEnds(bySet(await dumpedHistory(place)));
    change(7);
    // Each fsync of the garbage collection is slow, as on a slow disk, so that the backup starts in the middle of it.
    let reportBegun = (): void => undefined;
    const begun = new Promise<void>((resolve) => {
      reportBegun = resolve;
    });
    const base = inlineSystem();
    const slow: System = {
      ...base,
      files: {
        ...base.files,
        sync: async (fd) => {
          reportBegun();
          await pause(60);
          await base.files.sync(fd);
        },
      },
    };
    const collection = collectInline(place, {}, slow);
    await begun;
    const startMs = performance.now();
    await backupInline(inlineSystem(), place, [source]);
    const waitedMs = performance.now() - startMs;
    const report = await collection;
    t.log(`the backup took ${Math.round(waitedMs)} ms; upkeep was done: ${report.isDone}`);
    t.true(waitedMs < LONGEST_WAIT_MS * 3);
    const reported = bySet(await dumpedHistory(place));
    t.deepEqual(withoutEnds(reported).slice(0, kept.length), kept);
    while (!(await collectInline(place)).isDone);
    t.deepEqual(bySet(await dumpedHistory(place)), reported);
  },
);

test.serial('while a session has the client, sets stay and nothing is cleared up', async (t) => {
  const { place } = await withSets(t, 3);
  const reported = await dumpedHistory(place);
  const system = inlineSystem();
  const lock = lockClient(system, openClientDirectory(system, place));
  t.is(await rejectedCode(deleteInline(place, [1])), 'CLIENT_BUSY');
  t.is(await rejectedCode(collectInline(place, { isThorough: true })), 'CLIENT_BUSY');
  lock.release();
  t.deepEqual(await dumpedHistory(place), reported);
  t.false(fs.existsSync(path.join(place.store, 'me', 'lock.wanted')));
});

test.serial(
  'a process that was killed while it waited for a client does not keep it from being cleaned up',
  async (t) => {
    const { place } = await withSets(t, 3);
    await deleteInline(place, [1]);
    fs.writeFileSync(path.join(place.store, 'me', 'lock.wanted'), '');
    t.true((await collectInline(place, { isThorough: true })).isDone);
  },
);

test.serial(
  'what a kept version is made from stays, even if deleted sets had it, too',
  async (t) => {
    const { home, place, source } = inlineLab(t, []);
    const file = path.join(source, 'large');
    const first = noise(1, 1_500_000);
    for (let round = 1; round <= 4; round += 1) {
      fs.writeFileSync(file, Buffer.concat([first, noise(round, 3000 * round)]));
      await backupInline(inlineSystem(), place, [source], { create: round === 1 });
    }
    const before = fs.readFileSync(file);
    await deleteInline(place, [1, 2, 3]);
    await collectInline(place, { wasteRatio: 0.01 });
    const output = path.join(home, 'out');
    t.deepEqual(await restoreInline(inlineSystem(), place, { paths: [source], output }), []);
    t.true(fs.readFileSync(path.join(output, 'tree', 'large')).equals(before));
  },
);

test.serial('a client that is being written anew is left alone', async (t) => {
  const { place } = await withSets(t, 3);
  const reported = await dumpedHistory(place);
  const second = folderIn(place.store, '.me.next');
  const lock = tryLock(inlineSystem(), `${second}.lock`);
  for (const code of ['CLIENT_BUSY', 'REKEY_UNFINISHED']) {
    t.is(await rejectedCode(deleteInline(place, [1])), code);
    t.is(await rejectedCode(collectInline(place, { isThorough: true })), code);
    lock!.release(); // the run is killed, and its unfinished generation stays
  }
  t.deepEqual(await dumpedHistory(place), reported);
});

test.serial('the newest complete set stays, and one that is not there is no set', async (t) => {
  const { place } = await withSets(t, 2);
  t.is(await rejectedCode(deleteInline(place, [2])), 'SET_IS_NEWEST');
  t.is(await rejectedCode(deleteInline(place, [7])), 'NO_SUCH_SET');
  t.is(await rejectedCode(deleteInline(place, [1, 2])), 'SET_IS_NEWEST');
  t.is(bySet(await dumpedHistory(place)).size, 2, 'one that cannot go keeps all of them');
});
