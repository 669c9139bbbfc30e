/** The schedule of maintenance: which run answers which request. */
import path from 'node:path';
import { pino } from 'pino';
import test from 'ava';
import {
  InlineStorageHost,
  GcScheduler,
  type GcResult,
  type GcPlan,
  type GcWork,
} from '../../src/server/index.js';
import { createClientDirectory } from '../../src/store/index.js';
import { inlineSystem, SMALL_STORE } from '../helpers/inline.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { until } from '../helpers/until.js';

const NOTHING_DONE: GcResult = {
  isDone: true,
  contents: 0,
  packs: 0,
  freedBytes: 0,
  deletedFiles: 0,
  deletedBytes: 0,
  early: [],
  purged: [],
  young: 0,
  isCautious: false,
  purgeFailure: undefined,
  forgotten: 0,
  forgetFailure: undefined,
  isClockInDoubt: false,
  unusedTags: [],
};

const PLAN: GcPlan = {
  limits: SMALL_STORE.store,
  graceMs: 0,
  skipFile: '.tardis-skip',
  leastFreeBytes: 0,
  intervalMs: 0,
  early: undefined,
  wasteRatio: 0.5,
  isThorough: false,
  purge: { rules: undefined, leastAgeMs: 0 },
  isOneSession: false,
  purgeIntervalMs: 0,
};
const log = pino({ level: 'silent' });

test('a purge that is requested while another run is under way gets the result of its own run', async (t) => {
  const system = inlineSystem();
  const store = path.join(scratchInMemory(t), 'store');
  await createClientDirectory(system, { store, client: 'me' });
  const runs: { work: GcWork; end: () => void }[] = [];
  const storage = new InlineStorageHost(system);
  storage.collectGarbage = (_, work) =>
    new Promise((resolve) => {
      const purged = work.purge === undefined ? [] : [3];
      runs.push({ work, end: () => resolve({ ...NOTHING_DONE, purged }) });
    });
  const place = { baseDir: store, catalogFile: 'tardis.db' };
  const scheduler = new GcScheduler(system, storage, { place, plan: PLAN, log });
  const first = scheduler.sessionEnded('me', { isPurge: true, mayPurge: true });
  t.is(runs.length, 1);
  const second = scheduler.sessionEnded('me', { isPurge: true });
  runs[0]!.end();
  t.like(await first, { done: { purged: [3] } });
  t.is(runs.length, 2, 'a run of its own');
  t.true(runs[1]!.work.purge?.resistsFloods);
  const waiting = await Promise.race([second, Promise.resolve('not yet')]);
  t.is(waiting, 'not yet');
  runs[1]!.end();
  t.like(await second, { done: { purged: [3] } });
  await scheduler.stop();
});

test('a client of a bucket that another server has is left to it', async (t) => {
  const system = inlineSystem();
  const store = path.join(scratchInMemory(t), 'store');
  for (const client of ['theirs', 'older', 'ours'])
    await createClientDirectory(system, { store, client });
  const done: string[] = [];
  const storage = new InlineStorageHost(system);
  storage.collectGarbage = async ({ client }) => {
    done.push(client);
    return NOTHING_DONE;
  };
  const leftTo = async (client: string, isRound: boolean): Promise<string | undefined> => {
    if (client === 'theirs') return 'another server has it';
    return client === 'older' && isRound ? 'another machine has written to it' : undefined;
  };
  const place = { baseDir: store, catalogFile: 'tardis.db', leftTo };
  const plan = { ...PLAN, purgeIntervalMs: 20 };
  const scheduler = new GcScheduler(system, storage, { place, plan, log });
  const purge = { isPurge: true };
  t.like(await scheduler.sessionEnded('theirs', purge), {
    failure: 'another server has it: the rest is done later',
  });
  t.like(await scheduler.sessionEnded('older', purge), { done: { isDone: true } });
  await until(() => done.includes('ours'));
  await scheduler.stop();
  t.false(done.includes('theirs'));
  t.is(done.filter((client) => client === 'older').length, 1);
});
