/** Tests of the reports of a history (src/history/reports.ts), for every implementation. */
import {
  type ChangesFound,
  FIRST_PLACE,
  type History,
  STORE_FIGURES,
} from '../../src/history/index.js';
import { EntryType } from '../../src/model/index.js';
import { BROKEN_OFF, COMPLETE, CONFIG, MANY, ODD_NAMES } from '../helpers/history-lab.js';
import type { Ask } from './history.suite.js';

const NEWEST = COMPLETE.at(-1)!;
const MOST_PAGES = 10_000;

/** Returns `+name` of what only the set shows, and `-name` of what only the earlier one does. */
async function changed(
  history: History,
  before: number,
  set: number,
  limit: number,
): Promise<string[]> {
  const reported: string[] = [];
  let after: NonNullable<ChangesFound['next']> = FIRST_PLACE;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const { entries, next } = await history.reports.changes({ before, set, after, limit });
    for (const { name, lastSet, type } of entries) {
      const isNow = lastSet === undefined || lastSet >= set;
      if (type !== EntryType.directory)
        reported.push(`${isNow ? '+' : '-'}${name.toString('latin1')}`);
    }
    if (next === undefined) return reported.sort();
    after = next;
  }
  throw new Error('the pages do not end');
}

async function named(history: History, literal: string, isMatch: (name: Buffer) => boolean) {
  const versions: { name: Buffer; firstSet: number; directory: number }[] = [];
  let after: NonNullable<ChangesFound['next']> = FIRST_PLACE;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const request = { after, literal: Buffer.from(literal), isMatch };
    const { versions: more, next } = await history.reports.named(request);
    versions.push(...more);
    if (next === undefined) return versions;
    after = next;
  }
  throw new Error('the pages do not end');
}

export function reportsSuite(ask: Ask): void {
  ask('each listed set has its roots in one report', async (t, history, { source, other }) => {
    const all = await history.reports.rootsOfSets();
    t.deepEqual(
      [...all.keys()].sort((a, b) => a - b),
      [...COMPLETE, BROKEN_OFF],
    );
    for (const roots of all.values()) {
      t.deepEqual(roots.map(String).sort(), [other, source].sort());
    }
  });

  ask('the changes of sets are those of their files, in pages of any size', async (t, history) => {
    for (const limit of [1, 2, 1000]) {
      t.deepEqual(
        await changed(history, 1, 2, limit),
        ['+changes', '+large', '+new name', '-changes', '-large', '-old name'].sort(),
      );
      t.deepEqual(await changed(history, 2, 3, limit), ['-deleted']);
      t.deepEqual(await changed(history, 3, 5, limit), ['+f007', '-f007']);
      t.deepEqual(await changed(history, 5, 6, limit), ['+kept', '-kept']);
    }
    const files = MANY + ODD_NAMES.length + 14;
    t.is((await changed(history, 0, 1, 1000)).length, files, 'all of the first set is new');
  });

  ask('names are found in all directories and sets', async (t, history) => {
    const changes = await named(history, 'changes', (name) => name.toString() === 'changes');
    t.deepEqual(
      changes.map(({ firstSet }) => firstSet).sort((a, b) => a - b),
      [1, 2],
    );
    const seven = await named(history, '', (name) => /^f..7$/.test(name.toString()));
    t.is(seven.length, MANY / 10 + 1);
    t.deepEqual(await named(history, 'nothing like it', () => true), []);
    for (const odd of ODD_NAMES) {
      t.is((await named(history, '', (name) => name.equals(odd))).length, 1);
    }
  });

  ask(
    'directories have their paths as of a set, and unknown ones have none',
    async (t, history, { source }) => {
      const at = async (below: string, set: number): Promise<number> =>
        (await history.find(Buffer.from(`${source}/${below}`), set))!.childId!;
      const deep = await at('moves/deep', 1);
      t.is(await at('docs/moved/deep', NEWEST), deep, 'a renamed directory keeps its number');
      const { reports } = history;
      const [then, unknown] = await reports.directoryPaths(1, [deep, 999_999]);
      t.is(then?.toString(), `${source}/moves/deep`);
      t.is(unknown, undefined);
      t.deepEqual((await reports.directoryPaths(NEWEST, [deep, await at('many', 1)])).map(String), [
        `${source}/docs/moved/deep`,
        `${source}/many`,
      ]);
      t.deepEqual(await reports.directoryPaths(NEWEST, []), []);
    },
  );

  ask('settings and the configuration of a set are as they were stored', async (t, history) => {
    t.deepEqual(await history.reports.settings(), [{ key: 'KeepDaily', value: '7' }]);
    t.deepEqual(await history.reports.clientConfig(1), CONFIG);
    t.is(await history.reports.clientConfig(99), undefined);
  });

  ask('the figures of the store add up', async (t, history) => {
    const { numbers, busiest } = await history.reports.figures();
    t.deepEqual(Object.keys(numbers).sort(), [...STORE_FIGURES].sort());
    t.is(numbers.sets, COMPLETE.length + 1);
    t.true(numbers.versions > MANY);
    t.true(numbers.openVersions < numbers.versions);
    t.true(numbers.deltas > 0 && numbers.packs > 0 && numbers.catalogBytes > 0);
    t.true(busiest.length > 0);
    const bytes = busiest.map((one) => one.bytes);
    t.deepEqual(
      bytes,
      bytes.toSorted((a, b) => b - a),
    );
  });
}
