/** Work on a store other than backups that a power cut interrupts. */
import fs from 'node:fs';
import path from 'node:path';
import { Catalog, hasNewestVersion } from '../../src/store/catalog/index.js';
import { withKeys } from '../../src/client/index.js';
import {
  changePassword,
  type KeyRecord,
  newKeyRecord,
  parseKeyRecord,
  unlockKeyRecord,
} from '../../src/crypto/index.js';
import { rebuildCatalog } from '../../src/maintenance/rebuild/index.js';
import { changeKeys } from '../../src/server/index.js';
import { newestKeys, openClientDirectory, withClient } from '../../src/store/index.js';
import { nodeSystem, type System } from '../../src/system/index.js';
import { seededRandom } from '../support/seeded-random.js';
import { checkStore, type History, historyIn, NEXT_SET } from './crash-checks.js';
import type { Ground, Scenario } from './crash-runs.js';
import {
  bothBackups,
  commitsCounted,
  countCommits,
  firstBackup,
  OFTEN,
  storeCheck,
  type StoreScenario,
  type StoreTruth,
  answeringBackup,
  truthWith,
} from './crash-scenarios.js';
import { backupInline, inlineSystem, type Place, withDaemon } from './inline.js';
import { LATER_STEPS, laterSystem } from './later-catalogs.js';
import { freshKeys, PASSWORD, rewriteInline } from './rewrites.js';
import { changeTree, deleteInline, collectInline } from './garbage.js';
import { LIGHT } from './light.js';

const system = nodeSystem();
const BOTH = ['first', 'second'];

const REBUILD: StoreScenario = {
  name: 'a rebuild',
  states: 200,
  thoroughEvery: 15,
  prepare: async (ground) => {
    await bothBackups(ground);
    countCommits(ground);
  },
  work: async (traced, { place }, answer) => {
    await rebuildCatalog(traced, openClientDirectory(traced, place));
    answer('rebuilt');
  },
  truth: truthWith(BOTH, commitsCounted),
  check: storeCheck('second'),
};

/** Leaves a catalog as after a kill: its last commit is only in SQLite's log. */
function leaveLog({ store, client }: Place): void {
  const file = path.join(store, client, 'tardis.db');
  const catalog = Catalog.openForWriting(system, file);
  catalog.begin();
  catalog.state.writeDoubtfulUpTo(0);
  catalog.commit();
  const left = ['', '-wal'].map(
    (suffix) => [file + suffix, fs.readFileSync(file + suffix)] as const,
  );
  catalog.close();
  for (const [name, bytes] of left) fs.writeFileSync(name, bytes);
}

const REBUILD_AFTER_KILL: StoreScenario = {
  ...REBUILD,
  name: 'a rebuild after a kill',
  prepare: async (ground) => {
    await REBUILD.prepare(ground);
    leaveLog(ground.place);
  },
};

const later = laterSystem();

const UPGRADE: StoreScenario = {
  name: 'a catalog of an earlier version meets a later release',
  states: 200,
  thoroughEvery: 15,
  prepare: async (ground) => {
    await firstBackup(ground);
    countCommits(ground);
  },
  work: (traced, ground, answer) => {
    const system = { ...traced, catalogSteps: LATER_STEPS };
    return answeringBackup(system, ground, 'second', answer, OFTEN);
  },
  truth: async (ground) => {
    const { catalogPath } = openClientDirectory(later, ground.place);
    if (!hasNewestVersion(later, catalogPath)) throw new Error('the catalog was not upgraded');
    const history = await historyIn(ground.place, later);
    return { history, before: ['first'], commits: commitsCounted(ground) };
  },
  check: (crash, { history, before, commits }) =>
    checkStore(crash, { truth: history, before, commits, like: 'second', system: later }),
};

/** Sets the first password in the store's directory: over a network, a client with backups cannot do so. */
async function setKeysOf(traced: System, { place }: Ground, first: KeyRecord): Promise<number> {
  const directory = openClientDirectory(traced, place);
  return withClient(traced, directory, () => changeKeys(traced, directory, first.bytes));
}

/** Changes the keys in a session, as the client's command does; returns the number of the new key record. */
async function changeKeysOf(
  traced: System,
  { place }: Ground,
  next: (found: KeyRecord | undefined) => Promise<KeyRecord>,
): Promise<number> {
  const password = Buffer.from(PASSWORD);
  let number = 0;
  await withDaemon(traced, place, {}, (address) =>
    withKeys(
      traced,
      {
        address,
        client: place.client,
        create: false,
        credentials: { password, ask: () => Promise.resolve(password) },
        timeoutMs: 60_000,
      },
      async ({ record }, store) => {
        const made = await next(record);
        await store(made);
        ({ number } = made);
      },
    ),
  );
  return number;
}

const KEYS_SET = 'keys ';

/** A first password, then a second one (the same word, so that all checks can log in). */
const KEYS: StoreScenario = {
  name: 'changes of keys',
  states: 200,
  thoroughEvery: 40,
  prepare: async (ground) => {
    await firstBackup(ground);
    countCommits(ground);
  },
  work: async (traced, ground, answer) => {
    const password = Buffer.from(PASSWORD);
    const { modPow } = system.native;
    const first = (await newKeyRecord(modPow, password, false, LIGHT)).record;
    const set = await setKeysOf(traced, ground, first);
    answer(`${KEYS_SET}${set}`);
    const changed = await changeKeysOf(traced, ground, async (found) => {
      return (await changePassword(modPow, found!, password, { password })).record;
    });
    answer(`${KEYS_SET}${changed}`);
  },
  truth: truthWith(['first'], commitsCounted),
  check: async (crash, { history, before, commits }) => {
    const { place } = crash.ground;
    const answered = crash.answered.answers.filter((answer) => answer.startsWith(KEYS_SET));
    const wanted = Number(answered.at(-1)?.slice(KEYS_SET.length) ?? 0);
    const newest = newestKeys(system, path.join(place.store, place.client));
    if ((newest?.number ?? 0) < wanted) return [`key record ${wanted} is gone`];
    // The password opens the key record, whichever it is.
    if (newest !== undefined && crash.isThorough) {
      await unlockKeyRecord(parseKeyRecord(newest.bytes), Buffer.from(PASSWORD));
    }
    const next = async ({ source }: Ground): Promise<void> => {
      const password = newest === undefined ? {} : { password: PASSWORD };
      await backupInline(inlineSystem(), place, [source], { ...password, setName: NEXT_SET });
    };
    return checkStore(crash, { truth: history, before, commits, like: 'first', next });
  },
};

const DELETED = [1, 3];
const historyBefore = new WeakMap<Ground, History>();

/** Deletes sets, then contents that only they used, then repacks packs that are half empty. */
export const PURGE: StoreScenario = {
  name: 'sets are dropped and cleared up',
  states: 600,
  thoroughEvery: 12,
  prepare: async (ground) => {
    const random = seededRandom(7);
    for (let round = 1; round <= 5; round += 1) {
      changeTree(ground.source, round, random);
      const options = { ...OFTEN, create: round === 1, setName: `set ${round}` };
      await backupInline(inlineSystem(), ground.place, [ground.source], options);
    }
    historyBefore.set(ground, await historyIn(ground.place));
    countCommits(ground);
  },
  work: async (traced, { place }, answer) => {
    await deleteInline(place, DELETED, traced);
    answer('dropped');
    const all = { limits: OFTEN.storage.store, wasteRatio: 0.02, isThorough: true };
    await collectInline(place, all, traced);
    answer('cleared up');
  },
  truth: async (ground) => {
    const kept = await historyIn(ground.place);
    const history = new Map([...historyBefore.get(ground)!, ...kept]);
    return { history, before: [...kept.keys()], commits: commitsCounted(ground) };
  },
  check: async (crash, { history, before, commits }) => {
    const { place } = crash.ground;
    const wrong: string[] = [];
    const answered = new Set((await historyIn(place)).keys());
    const left = DELETED.filter((set) => answered.has(`set ${set}`)).length;
    const isDropped = crash.answered.answers.includes('dropped');
    if (left > 0 && (isDropped || left < DELETED.length)) wrong.push(`${left} dropped sets`);
    if (crash.isThorough) await collectInline(place);
    const check = { truth: history, before, commits, like: 'set 5' };
    return [...wrong, ...(await checkStore(crash, check))];
  },
};

/** Less free space than the used half of a pack needs, so that packs are moved in pieces. */
const SHORT_BYTES = 240 << 10;

/**
 * Deletes sets and frees their space with little free space: packs are removed at once, and some are truncated
 * after a part was moved.
 */
export const PURGE_SHORT: StoreScenario = {
  ...PURGE,
  name: 'sets are dropped and cleared up where space is short',
  states: 200,
  work: async (traced, { place }, answer) => {
    const files = { ...traced.files, freeBytes: () => SHORT_BYTES };
    await deleteInline(place, DELETED, traced);
    answer('dropped');
    const { store: limits } = OFTEN.storage;
    const all = { limits, wantedFreeBytes: 2 * SHORT_BYTES, isThorough: true };
    await collectInline(place, all, { ...traced, files });
    answer('cleared up');
  },
};

interface RewriteTruth extends StoreTruth {
  readonly lines: number;
}

let keys: Promise<Buffer> | undefined;

export const REKEY: Scenario<RewriteTruth> = {
  name: 'all written anew with other keys',
  states: 400,
  thoroughEvery: 8,
  prepare: async (ground) => {
    await bothBackups(ground);
    keys ??= freshKeys(undefined);
    await keys;
  },
  work: async (traced, { place }, answer) => {
    await rewriteInline(traced, place, { keys: await keys! });
    answer('rekeyed');
  },
  truth: async ({ place }) => {
    const history = await historyIn(place);
    return { history, before: BOTH, commits: 0, lines: history.size };
  },
  check: async (crash, { history }) => {
    const { place } = crash.ground;
    // At any moment a client exists, and shows its complete history.
    const check = { truth: history, before: BOTH, like: 'second' };
    const wrong = await checkStore({ ...crash, isThorough: false }, check);
    if (!crash.isThorough) return wrong;
    const isDone = crash.answered.answers.includes('rekeyed');
    const leftHere = (): string[] =>
      fs.readdirSync(place.store).filter((name) => name.startsWith(`.${place.client}`));
    const found = leftHere();
    if (isDone && found.includes(`.${place.client}.next`))
      wrong.push('the old generation came back');
    // An empty file of the lock may come back, too: its removal needs no sync.
    if (
      found.length > 0 ||
      newestKeys(system, path.join(place.store, place.client)) === undefined
    ) {
      await rewriteInline(inlineSystem(), place, { keys: await keys! });
    }
    const left = leftHere();
    if (left.length > 0) wrong.push(`left behind: ${left.join(', ')}`);
    wrong.push(...(await checkStore({ ...crash, isThorough: false }, check)));
    return wrong;
  },
};

export const MAINTENANCE: readonly Scenario<StoreTruth>[] = [
  REBUILD,
  REBUILD_AFTER_KILL,
  UPGRADE,
  KEYS,
  PURGE_SHORT,
  REKEY,
];
