// Pace: slow
/**
 * Each call by which SQLite changes the files of a catalog fails in turn: the disk is full or broken, once or from then
 * on, or writes only half. The backup fails with an error code or continues. Earlier sets stay, and no manual step is
 * needed. TEST_SEED replays a run; TEST_SHARE multiplies the number of failed calls.
 */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { seededRandom } from '../support/seeded-random.js';
import { checkStore, historyIn } from '../helpers/crash-checks.js';
import { type Ground, newGround } from '../helpers/crash-runs.js';
import { OFTEN, SECOND } from '../helpers/crash-scenarios.js';
import { copyStore } from '../helpers/faults.js';
import { backupInline, inlineSystem } from '../helpers/inline.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { SqliteDisk, type SqliteFailure } from '../helpers/sqlite-disk.js';
import { seed } from '../helpers/seed.js';
import { share } from '../helpers/share.js';

interface Fault {
  readonly name: string;
  readonly how: SqliteFailure;
  readonly lasts?: boolean;
  readonly isShort?: boolean;
}

const FAULTS: readonly Fault[] = [
  { name: 'a full disk, once', how: 'full' },
  { name: 'a disk that stays full, after half a write', how: 'full', lasts: true, isShort: true },
  { name: 'an error, once, after half a write', how: 'error', isShort: true },
  { name: 'errors from then on', how: 'error', lasts: true },
];

/** Number of failed calls for each kind of fault. */
const HITS = share < 1 ? Math.max(2, 25 * share) : 50;

const random = seededRandom(seed);

/**
 * Backs up while one call fails. Returns undefined if no call failed, otherwise the call and whether the set is
 * complete.
 */
async function troubled(
  ground: Ground,
  at: number,
  { how, ...more }: Fault,
): Promise<{ hit: string; isDone: boolean } | undefined> {
  const sqlite = new SqliteDisk(ground.place.store);
  let isDone = false;
  let hit: string | undefined;
  try {
    sqlite.failAt(at, how, more);
    await backupInline(inlineSystem(), ground.place, [ground.source], {
      ...OFTEN,
      setName: 'second',
    });
    isDone = true;
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === undefined || code === 'TIMED_OUT' || code === 'INTERNAL') throw error;
  } finally {
    ({ hit } = sqlite);
    sqlite.close();
  }
  return hit === undefined ? undefined : { hit, isDone };
}

async function callsOf(ground: Ground): Promise<number> {
  const sqlite = new SqliteDisk(ground.place.store);
  try {
    sqlite.failAt(0, 'full');
    const options = { ...OFTEN, setName: 'second' };
    await backupInline(inlineSystem(), ground.place, [ground.source], options);
    return sqlite.calls;
  } finally {
    sqlite.close();
  }
}

for (const fault of FAULTS) {
  test.serial(fault.name, async (t) => {
    const home = scratchInMemory(t);
    const start = newGround(path.join(home, 'start'));
    await SECOND.prepare(start);
    const peaceful = groundIn(start, path.join(home, 'peaceful'));
    const calls = await callsOf(peaceful);
    const history = new Map([
      ...(await historyIn(start.place)),
      ...(await historyIn(peaceful.place)),
    ]);
    const kinds = new Set<string>();
    const step = Math.max(1, calls / HITS);
    for (let at = 1 + Math.floor(random.next() * step); at <= calls; at += Math.ceil(step)) {
      const ground = groundIn(start, path.join(home, `${at}`));
      const what = `${fault.name} at call ${at} of ${calls} (seed ${seed})`;
      const outcome = await troubled(ground, at, fault);
      if (outcome === undefined) continue; // this run made fewer calls than the run without faults
      kinds.add(outcome.hit);
      const answered = {
        answers: outcome.isDone ? ['set second'] : [],
        commits: 0,
        isOver: outcome.isDone,
      };
      const check = { truth: history, before: ['first'], like: 'second' };
      const wrong = await checkStore({ ground, answered, isThorough: true }, check);
      t.deepEqual(wrong, [], `${what}: ${outcome.hit}`);
      fs.rmSync(ground.home, { recursive: true });
    }
    t.true(kinds.size >= 2 * Math.min(1, share), `${calls} calls: ${[...kinds].join(', ')}`);
    t.log(`${calls} calls (seed ${seed}): ${[...kinds].join(', ')}`);
  });
}

function groundIn(start: Ground, home: string): Ground {
  const ground = { ...start, home, place: { ...start.place, store: path.join(home, 'store') } };
  fs.mkdirSync(home);
  copyStore(start.place.store, ground.place.store);
  return ground;
}
