/** Tests of the interface `Admin` in src/maintenance/admin/admin.ts, for every implementation. */
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { History, Verdicts } from '../../src/history/index.js';
import { openRemoteAdmin } from '../../src/remote/index.js';
import { type Admin, localAdmin } from '../../src/maintenance/admin/index.js';
import { rulesOf, type RuleWords } from '../../src/retention/index.js';
import { openClientDirectory } from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { rejectedCode } from '../helpers/codes.js';
import {
  type HistoryLab,
  makeHistoryLab,
  openThere,
  readerOf,
  removeHistoryLab,
} from '../helpers/history-lab.js';
import { type Place, SMALL_STORE } from '../helpers/inline.js';
import { giveAccount, PASSWORD } from '../helpers/rewrites.js';
import { checkSuite, freeingSuite } from './admin-work.suite.js';

/** One way to change a client. */
export interface AdminWay {
  /** Prepares the lab, once; before `open`. */
  readonly prepare?: (lab: HistoryLab) => Promise<void>;
  readonly open: (lab: HistoryLab) => Promise<Admin>;
  /** Opens the client for reading, as another program does. */
  readonly read: (lab: HistoryLab) => Promise<History>;
  /** True if a server does the work. */
  readonly isThroughServer: boolean;
  readonly isInBucket?: boolean;
}

/** Opens the store on this machine. */
export const HERE: AdminWay = {
  open: async (lab) => adminAt(lab, lab.place),
  read: (lab) => openThere(lab, 'me'),
  isThroughServer: false,
};

/** Opens the store through its server, as an account that has the rights for it. */
export const THERE: AdminWay = {
  prepare: (lab) => giveAccount(lab.place, 'changer', ['list', 'read', 'purge', 'admin']),
  open: async (lab) => {
    const password = Buffer.from(PASSWORD);
    const credentials = { password, ask: async () => password, account: 'changer' };
    const { address } = lab.daemon;
    return openRemoteAdmin(nodeSystem(), { address, client: 'me', credentials });
  },
  read: async (lab) => readerOf(lab, 'me', 0), // the server is in this thread
  isThroughServer: true,
};

/** Opens a client in a store of this machine, with the keys of the lab. */
export function adminAt({ keyring }: HistoryLab, place: Place): Admin {
  const system = nodeSystem();
  return localAdmin(system, {
    directory: openClientDirectory(system, place),
    limits: SMALL_STORE.store,
    keyring,
    isEncrypted: () => keyring !== undefined,
    openHistory: () => readerOf({ place, keyring }, place.client),
  });
}

/** Parameters of each test of the suite. */
export interface Means {
  readonly admin: Admin;
  readonly lab: HistoryLab;
  readonly isEncrypting: boolean;
  readonly isThroughServer: boolean;
  readonly isInBucket: boolean;
  /** Opens another one, or another reader. The suite closes it. */
  readonly openOther: () => Promise<Admin>;
  readonly read: () => Promise<History>;
}

/** Declares the tests, which change one store one after the other. */
export function adminSuite(isEncrypting: boolean, way: AdminWay): void {
  let lab: HistoryLab;
  let admin: Admin;
  test.before(async () => {
    lab = await makeHistoryLab(isEncrypting);
    await way.prepare?.(lab);
    admin = await way.open(lab);
  });
  test.after.always(async () => {
    admin.close();
    await removeHistoryLab(lab);
  });
  const change: Change = (title, work) =>
    test.serial(title, async (t) => {
      const opened: { close(): void }[] = [];
      const kept = async <T extends { close(): void }>(opening: Promise<T>): Promise<T> => {
        const one = await opening;
        opened.push(one);
        return one;
      };
      await work(t, {
        admin,
        lab,
        isEncrypting,
        isThroughServer: way.isThroughServer,
        isInBucket: way.isInBucket ?? false,
        openOther: () => kept(way.open(lab)),
        read: () => kept(way.read(lab)),
      });
      for (const one of opened) one.close();
    });
  marksSuite(change);
  forgettingSuite(change);
  settingsSuite(change);
  checkSuite(change);
  deletionSuite(change);
  freeingSuite(change);
}

/** Declares one test. */
export type Change = (
  title: string,
  work: (t: ExecutionContext, means: Means) => Promise<void>,
) => void;

function marksSuite(change: Change): void {
  change(
    'marks change on all named sets, and are read back in the clear',
    async (t, { admin, read }) => {
      await admin.mark([1, 3], { addTags: ['täx', 'old'], title: undefined });
      await admin.mark([3], { removeTags: ['old'], title: 'a title', priority: 5 });
      const sets = await admin.sets();
      const marks = (set: number) => sets.find((one) => one.set === set)!.marks;
      t.deepEqual([...marks(1).tags].sort(), ['old', 'täx']);
      t.deepEqual([...marks(3).tags], ['täx']);
      t.like(marks(3), { title: 'a title', priority: 5 });
      t.is((await (await read()).findSet('a title')).set, 3, 'every reader sees the same');
    },
  );

  change(
    'marks of sets that there are not are refused, and nothing changes',
    async (t, { admin }) => {
      const before = await admin.sets();
      for (const sets of [[99], [1, 4], [0]]) {
        t.is(await rejectedCode(admin.mark(sets, { isLocked: true })), 'NO_SUCH_SET');
      }
      t.deepEqual(await admin.sets(), before);
    },
  );
}

function forgettingSuite(change: Change): void {
  change('paths to forget are asked for, listed and withdrawn', async (t, { admin, lab }) => {
    const path1 = Buffer.from(path.join(lab.source, 'many'));
    const report = await admin.previewForget([Buffer.from(`${lab.source}/none`)]);
    t.like(report, { versions: 0, rootsBelow: 0 });
    t.like(await admin.previewForget([Buffer.from(lab.source)]), { rootsBelow: 1 });
    t.deepEqual(await admin.forgets(), []);
    t.true((await admin.previewForget([path1])).versions > 100);
    await admin.mark([2], { isLocked: false });
    const [requested] = await admin.requestForgets([path1], 3_600_000);
    t.deepEqual(requested!.path, path1);
    t.is(requested!.dueAtMs - requested!.requestedAtMs, 3_600_000);
    t.deepEqual(await admin.forgets(), [requested!]);
    t.is(await rejectedCode(admin.withdrawForget([requested!.id, 77])), 'NO_SUCH_REQUEST');
    t.is((await admin.forgets()).length, 1);
    await admin.withdrawForget([requested!.id]);
    t.deepEqual(await admin.forgets(), []);
    await admin.mark([2], { isLocked: true });
  });
}

function settingsSuite(change: Change): void {
  change(
    'settings are stored, replaced and removed; wrong ones are refused',
    async (t, { admin, read }) => {
      const kept = async () => {
        const history = await read();
        const settings = await history.reports.settings();
        return Object.fromEntries(settings.map(({ key, value }) => [key, value]));
      };
      await admin.changeSetting('KeepWeekly', '3');
      await admin.changeSetting('KeepWeekly', '4');
      t.deepEqual(await kept(), { KeepDaily: '7', KeepWeekly: '4' });
      await admin.changeSetting('KeepWeekly', undefined);
      await admin.changeSetting('KeepWeekly', undefined);
      t.deepEqual(await kept(), { KeepDaily: '7' });
      t.is(await rejectedCode(admin.changeSetting('Nothing', '1')), 'CONFIG_INVALID');
      t.is(await rejectedCode(admin.changeSetting('KeepDaily', 'x')), 'CONFIG_INVALID');
      t.deepEqual(await kept(), { KeepDaily: '7' });
    },
  );
}

const WORDS: RuleWords = {
  priorities: [],
  keepPeriods: undefined,
  keepLast: 1,
  keepHourly: 0,
  keepDaily: 0,
  keepWeekly: 0,
  keepMonthly: 0,
  keepYearly: 0,
  keepWithin: '',
  endedAfter: '',
  keepTags: ['täx'],
};
const PURGE: Parameters<Admin['previewPurge']>[0] = {
  rules: rulesOf(WORDS),
  leastAgeMs: 0,
  resistsFloods: false,
  keepsDoubtful: false,
  trustsClock: true,
};

/** Returns the sets that nothing keeps. */
function goneBy(verdicts: Verdicts['verdicts']): number[] {
  return verdicts.filter(({ reasons }) => reasons.length === 0).map(({ set }) => set);
}

function deletionSuite(change: Change): void {
  change('a preview of a purge names each set, and changes nothing', async (t, { admin }) => {
    const before = await admin.sets();
    const { verdicts } = await admin.previewPurge(PURGE);
    t.deepEqual(
      verdicts.map(({ set }) => set),
      before.map(({ set }) => set),
    );
    t.true(verdicts.find(({ set }) => set === 6)!.reasons.length > 0, 'the newest complete one');
    t.true(verdicts.find(({ set }) => set === 2)!.reasons.length > 0, 'locked');
    t.deepEqual(await admin.sets(), before);
  });

  change(
    'sets that are needed, locked or unknown are not deleted, and their preview says so',
    async (t, { admin }) => {
      const before = await admin.sets();
      for (const [sets, code] of [
        [[99], 'NO_SUCH_SET'],
        [[4], 'NO_SUCH_SET'],
        [[2], 'SET_LOCKED'],
        [[6], 'SET_IS_NEWEST'],
        [[7], 'SET_IS_NEWEST'],
        [[1, 2], 'SET_LOCKED'],
      ] as const) {
        t.is(await rejectedCode(admin.previewDelete(sets)), code, sets.join());
      }
      t.deepEqual(await admin.sets(), before);
    },
  );

  change('a preview of a deletion deletes nothing, and the deletion does', async (t, { admin }) => {
    const numbers = async () => (await admin.sets()).map(({ set }) => set);
    const before = await numbers();
    await admin.previewDelete([1, 3]);
    t.deepEqual(await numbers(), before);
    await admin.deleteSets([1, 3]);
    t.deepEqual(
      await numbers(),
      before.filter((set) => set !== 1 && set !== 3),
    );
  });

  change(
    'a purge deletes what is left of the sets of its preview, and never a locked or the newest one',
    async (t, { admin, isThroughServer }) => {
      const before = await admin.sets();
      const { verdicts } = await admin.previewPurge(PURGE);
      const gone = goneBy(verdicts);
      const [other, ...rest] = gone;
      if (!isThroughServer) await admin.deleteSets([other!]);
      // A server applies its own rules, and those that are kept with the client.
      const done = goneBy((await admin.purge(PURGE, gone.slice(0, 2))).verdicts);
      if (!isThroughServer) t.deepEqual(done, rest.slice(0, 1));
      const left = (await admin.sets()).map(({ set }) => set);
      t.true(left.includes(2), 'locked');
      t.true(left.includes(6), 'the newest complete one');
      t.deepEqual(
        left,
        before
          .map(({ set }) => set)
          .filter((set) => (set !== other || isThroughServer) && !done.includes(set)),
      );
    },
  );

  change(
    'rules are kept with the client or by the server, which alone repairs its store',
    async (t, { admin, isThroughServer }) => {
      t.is(admin.keptRules(WORDS) === undefined, isThroughServer);
      const repairing = admin.repair({
        percent: 0,
        signal: new AbortController().signal,
        onFinding: () => undefined,
        onProgress: () => undefined,
      });
      if (isThroughServer) t.is(await rejectedCode(repairing), 'CAPABILITY_MISSING');
      else t.is(await rejectedCode(repairing), undefined);
    },
  );
}
