/** Tests of the interface in src/history/history.ts, for every implementation. */
import os from 'node:os';
import path from 'node:path';
import anyTest from 'ava';
import type { ExecutionContext, TestFn } from 'ava';
import type { ContentLocation, History, HistoryEntry } from '../../src/history/index.js';
import { contentIdOf, EntryType } from '../../src/model/index.js';
import { codeOf, rejectedCode } from '../helpers/codes.js';
import {
  BROKEN_OFF,
  bytesOfEntry,
  COMPLETE,
  type HistoryLab,
  makeHistoryLab,
  MANY,
  ODD_NAMES,
  PURGED,
  removeHistoryLab,
  TWICE,
} from '../helpers/history-lab.js';
import { here } from '../helpers/kinds.js';
import { reportsSuite } from './history-reports.suite.js';

/** Returns the places of pieces and of their bases as plain objects. */
function placesOf(pieces: ContentLocation): readonly object[] | undefined {
  return pieces?.map(({ object, position, recordBytes, offset, sizeBytes, digest, basis }) => {
    const place = { object, position, recordBytes, offset, sizeBytes };
    return { ...place, digest, basis: placesOf(basis) };
  });
}

const test = anyTest as TestFn<undefined>;
const NOTHING = Buffer.alloc(0);
const NEWEST = COMPLETE.at(-1)!;

/** Opens a client of the lab in one way. */
export type OpenHistory = (lab: HistoryLab, client: string) => Promise<History>;

/** Declares one test. All of them ask one history, at the same time. */
export type Ask = (
  title: string,
  work: (t: ExecutionContext, history: History, lab: HistoryLab) => Promise<void>,
) => void;

/** Declares the tests for one store, which is prepared once, and for each way of opening it. */
export function historySuite(
  isEncrypting: boolean,
  ways: Readonly<Record<string, OpenHistory>>,
): void {
  let lab: HistoryLab;
  const histories = new Map<string, History>();
  test.before(async () => {
    lab = await makeHistoryLab(isEncrypting);
    for (const [way, open] of Object.entries(ways)) histories.set(way, await open(lab, 'me'));
  });
  test.after.always(async () => {
    for (const history of histories.values()) history.close();
    await removeHistoryLab(lab);
  });
  for (const [way, open] of Object.entries(ways)) {
    const ask: Ask = (title, work) =>
      test(`${way}: ${title}`, (t) => work(t, histories.get(way)!, lab));
    openingSuite(way, () => lab, open, isEncrypting);
    setsSuite(ask, isEncrypting);
    findingSuite(ask);
    listingSuite(ask);
    versionsSuite(ask);
    contentsSuite(ask);
    sealsSuite(ask, isEncrypting);
    reportsSuite(ask);
  }
}

function openingSuite(
  way: string,
  lab: () => HistoryLab,
  open: OpenHistory,
  isEncrypting: boolean,
): void {
  test(`${way}: a client that does not exist cannot be opened`, async (t) => {
    const code = await rejectedCode(open(lab(), 'nobody'));
    // A server shows a stranger no difference between a wrong password or token and no client.
    const refused = way.includes('token') ? 'NOT_LOGGED_IN' : 'LOGIN_FAILED';
    t.is(code, /remote|token/.test(way) ? refused : 'NO_SUCH_CLIENT');
  });

  test(`${way}: an unfinished set is in doubt once it was read, if sets have seals`, async (t) => {
    const history = await open(lab(), 'me');
    await history.sets();
    await history.find(Buffer.from(lab().source), NEWEST);
    t.deepEqual([...history.doubts], []);
    await history.find(Buffer.from(lab().source), BROKEN_OFF);
    t.is(history.doubts.length > 0, isEncrypting);
    t.is(history.hasUnproven === true, isEncrypting);
    history.close();
  });

  test(`${way}: after its end a history answers nothing, and may be closed again`, async (t) => {
    const history = await open(lab(), 'me');
    await history.sets();
    history.close();
    await t.throwsAsync(async () => history.sets());
    t.notThrows(() => history.close());
  });
}

function setsSuite(ask: Ask, isEncrypting: boolean): void {
  ask('the listed sets come oldest first, without those that were purged', async (t, history) => {
    const sets = await history.sets();
    t.deepEqual(
      sets.map(({ set, state }) => [set, state]),
      [...COMPLETE.map((set) => [set, 'complete']), [BROKEN_OFF, 'unfinished']],
    );
    t.deepEqual(
      sets.slice(0, 3).map(({ name, firstName }) => [name, firstName]),
      [
        ['first', 'first'],
        [TWICE, TWICE],
        [TWICE, TWICE],
      ],
    );
    t.true(sets.every(({ isDoubtful }) => !isDoubtful));
    for (const { set, isSealed } of sets) t.is(isSealed, isEncrypting && set !== BROKEN_OFF);
  });

  ask('marks are readable where they are, and nowhere else', async (t, history) => {
    for (const { set, marks } of await history.sets()) {
      t.deepEqual([marks.isLocked, marks.tags], set === 2 ? [true, ['paid']] : [false, []]);
    }
  });

  ask(
    'a set is found by number and by name; without either, the newest complete one',
    async (t, history) => {
      t.is((await history.findSet('3')).set, 3);
      t.is((await history.findSet('first')).set, 1);
      t.is((await history.findSet(String(BROKEN_OFF))).state, 'unfinished');
      t.is((await history.findSet(undefined)).set, NEWEST);
    },
  );

  ask('a set that there is not is refused, and so is a name of two sets', async (t, history) => {
    for (const text of [
      String(PURGED),
      '0',
      '99',
      '9'.repeat(40),
      'nobody',
      '-1',
      '1.0',
      'first ',
    ]) {
      t.is(await rejectedCode(history.findSet(text)), 'NO_SUCH_SET', text);
    }
    t.is(await rejectedCode(history.findSet(TWICE)), 'USAGE');
  });

  ask('a moment finds the newest complete set that began until then', async (t, history) => {
    const third = await history.findSet('3');
    const moment = Math.max(third.openedAtMs, third.clientTimeMs);
    t.is((await history.findSetAt(moment)).set, 3);
    t.is((await history.findSetAt(Number.MAX_SAFE_INTEGER)).set, NEWEST);
    t.is(await rejectedCode(history.findSetAt(0)), 'NO_SUCH_SET');
  });

  ask('the roots of a set come by their paths', async (t, history, { source, other }) => {
    for (const set of COMPLETE) {
      const roots = await history.roots(set);
      t.deepEqual(
        roots.map((root) => root.path.toString()),
        [other, source],
      );
      t.is(new Set(roots.map(({ directory }) => directory)).size, 2);
    }
  });

  ask('the notes of a set tell what was kept though it was not found', async (t, history) => {
    const all = await Promise.all(COMPLETE.map((set) => history.notes(set)));
    t.deepEqual(
      all.map(({ length }) => length),
      [0, 0, 0, 1, 0],
    );
    t.true(all[3]![0]!.reason.length > 0);
  });

  ask('owners of a set have the names of then', async (t, history) => {
    const owners = await history.owners(NEWEST);
    const own = owners.find(({ isGroup, id }) => !isGroup && id === process.getuid!());
    t.is(own?.name.toString(), os.userInfo().username);
    t.true(owners.some(({ isGroup }) => isGroup));
  });
}

const found = async (
  history: History,
  lab: HistoryLab,
  name: string | Buffer,
  set = NEWEST,
): Promise<HistoryEntry | undefined> => history.find(below(lab, name), set);

function below({ source }: HistoryLab, name: string | Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${source}/`), Buffer.from(name)]);
}

function findingSuite(ask: Ask): void {
  ask('an entry is found at its path with all that it is', async (t, history, lab) => {
    const gone = await found(history, lab, 'docs/deleted', 1);
    t.is(gone?.type, EntryType.file);
    t.is(gone?.permissions, 0o600);
    t.is(gone?.sizeBytes, 'until set 2'.length);
    t.is(gone?.mtimeNs, 1_500_000_000_123_456_789n);
    t.is(gone?.name.toString(), 'deleted');
    t.deepEqual([gone?.firstSet, gone?.lastSet], [1, 2]);
    const link = await found(history, lab, 'link');
    t.is(link?.linkTarget?.toString(), 'docs/changes');
    const nowhere = await found(history, lab, 'nowhere');
    t.deepEqual(nowhere?.linkTarget, Buffer.from([0x2f, 0xff]));
    const [one, two] = [
      await found(history, lab, 'one of two'),
      await found(history, lab, 'other of two'),
    ];
    t.is(one?.inode, two?.inode);
    t.is(two?.linkCount, 2);
    t.is((await found(history, lab, 'sparse'))?.sizeBytes, lab.sparseBytes);
    const attributes = (await found(history, lab, 'docs/attributed'))?.attributes;
    if (here.attributes) t.true(attributes?.includes('user.colour'));
    else t.log('attributes: this file system has none');
  });

  ask('every odd name is found, and no name like it', async (t, history, lab) => {
    for (const name of ODD_NAMES) {
      const at = Buffer.concat([Buffer.from('odd/'), name]);
      t.deepEqual((await found(history, lab, at))?.name, name);
      t.is(await found(history, lab, Buffer.concat([at, Buffer.from('x')])), undefined);
    }
  });

  ask('a path is found in the sets that have it, and in no other', async (t, history, lab) => {
    const inSets = async (name: string): Promise<number[]> => {
      const all = await Promise.all(COMPLETE.map((set) => found(history, lab, name, set)));
      return COMPLETE.filter((_set, index) => all[index] !== undefined);
    };
    t.deepEqual(await inSets('docs/deleted'), [1, 2]);
    t.deepEqual(await inSets('docs/old name'), [1]);
    t.deepEqual(await inSets('docs/new name'), [2, 3, 5, 6]);
    t.deepEqual(await inSets('moves/deep/er'), [1, 2]);
    t.deepEqual(await inSets('docs/moved/deep/er'), [3, 5, 6]);
    t.deepEqual(await inSets('only in the purged set'), []);
    t.deepEqual(await inSets('large'), [...COMPLETE]);
  });

  ask('nothing is where nothing was', async (t, history, lab) => {
    for (const name of ['none', 'docs/none', 'docs/changes/below', 'link/changes', 'doc']) {
      t.is(await found(history, lab, name), undefined, name);
    }
    for (const at of ['/', path.dirname(lab.source), `${lab.source}x`, '/nowhere/at/all']) {
      t.is(await history.find(Buffer.from(at), NEWEST), undefined, at);
    }
  });

  ask('a root is found by its own path, and its entries below', async (t, history, lab) => {
    for (const { path: at, directory } of await history.roots(NEWEST)) {
      t.is((await history.find(at, NEWEST))?.childId, directory);
    }
    const kept = await history.find(Buffer.from(`${lab.other}/kept`), 5);
    t.is(kept?.sizeBytes, 'of the other root'.length, 'kept, though the root looked empty');
  });

  ask('a set that there is not has no roots and no entries', async (t, history, lab) => {
    for (const set of [0, PURGED, 99]) {
      const [roots, entry] = await Promise.all([
        history.roots(set).catch(codeOf),
        history.find(Buffer.from(lab.source), set).catch(codeOf),
      ]);
      const isRefused = roots === 'NO_SUCH_SET'; // where sets are proven
      t.deepEqual([roots, entry], isRefused ? [roots, roots] : [[], undefined]);
      t.deepEqual(await history.notes(set), []);
    }
  });

  ask('an unfinished set shows the newest known state', async (t, history, lab) => {
    t.is(
      (await found(history, lab, 'many/f007', BROKEN_OFF))?.sizeBytes,
      'changed in set 5'.length,
    );
    t.is((await found(history, lab, 'docs/begun', BROKEN_OFF))?.firstSet, BROKEN_OFF);
    t.is(await found(history, lab, 'docs/deleted', BROKEN_OFF), undefined);
    t.is(await found(history, lab, 'docs/begun'), undefined);
  });
}

async function pages(
  history: History,
  directory: number,
  set: number,
  limit: number,
): Promise<HistoryEntry[]> {
  const all: HistoryEntry[] = [];
  for (let after: Buffer = NOTHING; ; after = all.at(-1)!.name) {
    const page = await history.list({ directory, set, after, limit, withDigests: true });
    all.push(...page);
    if (page.length < limit) return all;
  }
}

async function directoryAt(history: History, lab: HistoryLab, name: string, set = NEWEST) {
  return (await found(history, lab, name, set))!.childId!;
}

function listingSuite(ask: Ask): void {
  ask(
    'a directory is listed by the bytes of its names, in pages of any size',
    async (t, history, lab) => {
      const directory = await directoryAt(history, lab, 'many');
      const wanted = [...Array(MANY).keys()].map((n) => `f${String(n).padStart(3, '0')}`);
      for (const limit of [7, 100, MANY, MANY + 1, 100_000]) {
        const listed = await pages(history, directory, NEWEST, limit);
        t.deepEqual(
          listed.map(({ name }) => name.toString()),
          wanted,
          `pages of ${limit}`,
        );
      }
      const odd = await pages(history, await directoryAt(history, lab, 'odd'), NEWEST, 1);
      t.deepEqual(
        odd.map(({ name }) => name),
        [...ODD_NAMES].sort(Buffer.compare),
      );
    },
  );

  ask('a page begins after a name that need not be there', async (t, history, lab) => {
    const directory = await directoryAt(history, lab, 'many');
    const page = { directory, set: NEWEST, limit: 2, withDigests: false };
    const after = async (text: string): Promise<string[]> => {
      const entries = await history.list({ ...page, after: Buffer.from(text) });
      return entries.map(({ name }) => name.toString());
    };
    t.deepEqual(await after(''), ['f000', 'f001']);
    t.deepEqual(await after('f117'), ['f118', 'f119']);
    t.deepEqual(await after('f118'), ['f119']);
    t.deepEqual(await after('f119'), []);
    t.deepEqual(await after('zzz'), []);
  });

  ask('what is listed is what is found', async (t, history, lab) => {
    for (const set of COMPLETE) {
      for (const entry of await pages(
        history,
        await directoryAt(history, lab, 'docs', set),
        set,
        3,
      )) {
        const same = await found(history, lab, `docs/${entry.name.toString()}`, set);
        t.deepEqual(same?.metadata, entry.metadata);
        t.is(same?.contentId, entry.contentId);
        t.deepEqual([same?.firstSet, same?.lastSet], [entry.firstSet, entry.lastSet]);
      }
    }
  });

  ask(
    'an empty directory has no entries, nor has one that there is not',
    async (t, history, lab) => {
      const directory = await directoryAt(history, lab, 'empty directory');
      t.deepEqual(await pages(history, directory, NEWEST, 10), []);
      t.deepEqual(await pages(history, 999_999, NEWEST, 10), []);
    },
  );

  ask('with another set to compare, no entry that differs is left out', async (t, history, lab) => {
    const directory = await directoryAt(history, lab, 'many');
    const page = { directory, set: NEWEST, after: NOTHING, limit: 1000, withDigests: true };
    const unlike = await history.list({ ...page, unlike: 3 });
    t.true(unlike.some(({ name }) => name.toString() === 'f007'));
    t.true(unlike.length <= MANY);
  });

  ask('digests come with the entries, if they are wanted', async (t, history, lab) => {
    const directory = await directoryAt(history, lab, 'docs');
    const page = { directory, set: NEWEST, after: NOTHING, limit: 100 };
    const files = (entries: HistoryEntry[]) =>
      entries.filter(({ type }) => type === EntryType.file);
    const withDigests = files(await history.list({ ...page, withDigests: true }));
    t.true(withDigests.length > 2);
    t.true(withDigests.every(({ digest }) => digest?.length === 32));
  });

  ask('many questions at once get an answer each', async (t, history, lab) => {
    const names = [...Array(50).keys()].map((n) => `many/f${String(n).padStart(3, '0')}`);
    const entries = await Promise.all(names.map((name) => found(history, lab, name)));
    t.deepEqual(
      entries.map((entry) => `many/${entry?.name.toString()}`),
      names,
    );
  });
}

function versionsSuite(ask: Ask): void {
  ask('the versions of a path come oldest first, with their sets', async (t, history, lab) => {
    const spans = async (name: string): Promise<unknown[]> => {
      const versions = await history.versions(below(lab, name));
      return versions.map(({ firstSet, lastSet, entry }) => [firstSet, lastSet, entry.sizeBytes]);
    };
    t.deepEqual(await spans('docs/changes'), [
      [1, 1, 'as of set 1'.length],
      [2, undefined, 'changed in set 2'.length],
    ]);
    t.deepEqual(await spans('docs/deleted'), [[1, 2, 'until set 2'.length]]);
    t.deepEqual(await spans('docs/old name'), [[1, 1, 900]]);
    t.deepEqual(await spans('docs/new name'), [[2, undefined, 900]]);
    t.deepEqual(await spans('moves/deep/er'), [[1, 2, 6]]);
    t.deepEqual(await spans('docs/moved/deep/er'), [[3, undefined, 6]]);
    t.deepEqual(await spans('many/f007'), [
      [1, 3, 1],
      [5, undefined, 16],
    ]);
  });

  ask(
    'what was never there, or only in a set that was purged, has no versions',
    async (t, history, lab) => {
      t.deepEqual(await history.versions(below(lab, 'only in the purged set')), []);
      t.deepEqual(await history.versions(below(lab, 'none')), []);
      t.deepEqual(await history.versions(below(lab, 'docs/changes/none')), []);
      t.deepEqual(await history.versions(Buffer.from('/')), []);
      t.deepEqual(await history.versions(Buffer.from('/nowhere')), []);
    },
  );

  ask('each version has the content of its time', async (t, history, lab) => {
    const bytes = async (name: string): Promise<string[]> => {
      const versions = await history.versions(below(lab, name));
      const all = await Promise.all(versions.map(({ entry }) => bytesOfEntry(history, entry)));
      return all.map(String);
    };
    t.deepEqual(await bytes('docs/changes'), ['as of set 1', 'changed in set 2']);
    t.deepEqual(await bytes('many/f007'), ['7', 'changed in set 5']);
  });
}

function contentsSuite(ask: Ask): void {
  ask('contents of every kind are read as they were', async (t, history, lab) => {
    const bytesAt = async (name: string | Buffer, set: number): Promise<Buffer> =>
      (await bytesOfEntry(history, (await found(history, lab, name, set))!))!;
    t.is((await bytesAt('docs/deleted', 1)).toString(), 'until set 2');
    for (const name of ODD_NAMES) {
      t.deepEqual(await bytesAt(Buffer.concat([Buffer.from('odd/'), name]), 3), name);
    }
    t.true((await bytesAt('large', 1)).equals(lab.large.before));
    t.true((await bytesAt('large', 2)).equals(lab.large.after), 'stored as a delta');
    t.true((await bytesAt('one of two', 6)).equals(await bytesAt('other of two', 6)));
    t.true((await bytesAt('sparse', 6)).length > 0);
  });

  ask(
    'locations come in the order of the request, and those of nothing are missing',
    async (t, history, lab) => {
      const [one, two] = [
        (await found(history, lab, 'large', 1))!,
        (await found(history, lab, 'docs/changes'))!,
      ];
      const both = await history.locate([one, two]);
      const swapped = await history.locate([two, one]);
      t.deepEqual(both.map(placesOf), swapped.toReversed().map(placesOf));
      t.true(both.every((pieces) => pieces !== undefined && pieces.length > 0));
      t.deepEqual(await history.locate([{ contentId: contentIdOf(987_654_321) }]), [undefined]);
      t.deepEqual(await history.locate([]), []);
      const sizes = both[1]!.map(({ sizeBytes }) => sizeBytes);
      t.is(
        sizes.reduce((sum, size) => sum + size, 0),
        two.sizeBytes,
      );
    },
  );

  ask('a content is found by the beginning of its digest', async (t, history, lab) => {
    const { digest, contentId } = (await found(history, lab, 'docs/changes'))!;
    for (const length of [8, 20, 32]) {
      const contents = await history.findContents(digest!.subarray(0, length), 10);
      t.deepEqual(
        contents.map((content) => [content.contentId, content.digest, content.sizeBytes]),
        [[contentId, digest, 'changed in set 2'.length]],
      );
    }
    t.deepEqual(await history.findContents(Buffer.alloc(8, 0xab), 10), []);
  });

  ask(
    'an object that is not there is an error of the system, and the next one is read',
    async (t, history, lab) => {
      const objects = history.objects();
      try {
        const missing = objects.read('packs/99999999.pack', 0, Buffer.alloc(8), 8);
        t.is(await rejectedCode(missing), 'ENOENT');
        const [pieces] = await history.locate([(await found(history, lab, 'docs/changes'))!]);
        t.is(await objects.read(pieces![0]!.object, 0, Buffer.alloc(8), 8), 8);
        t.is(await objects.read(pieces![0]!.object, 2 ** 40, Buffer.alloc(8), 8), 0);
      } finally {
        objects.close();
      }
    },
  );
}

function sealsSuite(ask: Ask, isEncrypting: boolean): void {
  ask('seals come in pages, and only of a client that encrypts', async (t, history) => {
    const whole = await history.seals(NEWEST, 0, 1000);
    t.is(whole.directories.length > 5, isEncrypting);
    t.is(whole.setSeal !== undefined, isEncrypting);
    const [first, second] = whole.directories;
    if (first === undefined) return;
    const rest = await history.seals(NEWEST, first.directory, 1000);
    t.deepEqual(rest.directories[0], second);
    t.deepEqual(rest.directories, whole.directories.slice(1));
  });

  ask('contents have keys only if the client encrypts', async (t, history) => {
    t.is(history.contentKeys !== undefined, isEncrypting);
    t.is(history.client, 'me');
    t.is(history.directory === undefined, history.isRemote);
  });
}
