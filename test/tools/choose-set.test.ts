/** The set that a command uses: by number, name, date, or the word for the newest one. */
import test from 'ava';
import { TardisError } from '../../src/errors/index.js';
import type { BackupSet, History } from '../../src/history/index.js';
import { chooseSet, setOfWord } from '../../src/tools/index.js';
import { rejectedCode } from '../helpers/codes.js';

const NOW_MS = Date.UTC(2024, 5, 15, 12);
const DAY_MS = 86_400_000;

/** A history with a complete set 3 called `monthly`, made 10 days ago. */
class FakeHistory {
  readonly calls: unknown[] = [];
  failure: Error | undefined;

  async findSet(text: string | undefined): Promise<BackupSet> {
    this.calls.push(text);
    if (this.failure !== undefined) throw this.failure;
    if (text !== undefined && text !== '3' && text !== 'monthly') throw missing(text);
    return { set: 3 } as BackupSet;
  }

  async findSetAt(momentMs: number): Promise<BackupSet> {
    this.calls.push(momentMs);
    if (momentMs < NOW_MS - 10 * DAY_MS) throw missing('then');
    return { set: 3 } as BackupSet;
  }

  get history(): History {
    return this as unknown as History;
  }
}

function missing(text: string): TardisError {
  return new TardisError('NO_SUCH_SET', `there is no set ${text}`, { text });
}

const CHOICE = { backup: undefined, recentSet: 'newest', date: undefined };

test('without a choice, and by the word for it, the newest set is used', async (t) => {
  const fake = new FakeHistory();
  for (const backup of [undefined, 'newest', '3']) {
    await chooseSet(fake.history, { ...CHOICE, backup }, NOW_MS);
  }
  t.deepEqual(fake.calls, [undefined, undefined, '3']);
});

test('a set and a date exclude each other, and a bad date is no set', async (t) => {
  const { history } = new FakeHistory();
  const choose = (choice: Partial<typeof CHOICE> | { backup: string; date: string }) =>
    rejectedCode(chooseSet(history, { ...CHOICE, ...choice }, NOW_MS));
  t.is(await choose({ backup: '3', date: 'yesterday' }), 'USAGE');
  t.is(await choose({ date: 'nonsense' } as never), 'BAD_DATE');
  t.is(await choose({ date: 'yesterday' } as never), undefined);
});

test('the error for a date before all sets has the time that it was taken for', async (t) => {
  const { history } = new FakeHistory();
  const choice = { ...CHOICE, date: '2024-01-02 03:04' };
  const error = await t.throwsAsync(chooseSet(history, choice, NOW_MS));
  t.regex(error.message, /^there is no set then \(2024-01-02 03:04/);
  t.like(error, { code: 'NO_SUCH_SET', context: { text: 'then' } });
});

test('a word is a set before it is a date', async (t) => {
  const fake = new FakeHistory();
  for (const word of ['monthly', '3', 'newest', '2 days ago']) {
    t.is((await setOfWord(fake.history, word, 'newest', NOW_MS))?.set, 3, word);
  }
  t.is(fake.calls.at(-1), NOW_MS - 2 * DAY_MS);
  const code = (word: string) => rejectedCode(setOfWord(fake.history, word, 'newest', NOW_MS));
  t.is(await code('20240615'), 'NO_SUCH_SET', 'a number is never a date');
  t.is(await setOfWord(fake.history, 'weekly', 'newest', NOW_MS), undefined);
  t.is(await code('30 days ago'), 'NO_SUCH_SET', 'a date before all sets');
});

test('another failure is not taken for a missing set', async (t) => {
  const fake = new FakeHistory();
  fake.failure = new TardisError('CATALOG_DAMAGED', 'damaged');
  t.is(
    await rejectedCode(setOfWord(fake.history, 'yesterday', 'newest', NOW_MS)),
    'CATALOG_DAMAGED',
  );
  t.deepEqual(fake.calls, ['yesterday']);
});
