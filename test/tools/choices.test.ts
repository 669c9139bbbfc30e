/** Choices of the tools: sets in a range, listed spans of versions, colors of entries, tags, verbs of other programs. */
import test from 'ava';
import type { BackupSet } from '../../src/history/index.js';
import { EntryType } from '../../src/model/index.js';
import { hasRange, listedSpan, LsColors, requireTags, setsWithin } from '../../src/tools/index.js';
import { rejectedCode, thrownCode } from '../helpers/codes.js';

const DAY_MS = 86_400_000;
const NOW_MS = new Date(2026, 4, 17, 12).getTime();

function setAt(set: number, daysAgo: number): BackupSet {
  return {
    set,
    name: `set ${set}`,
    firstName: `set ${set}`,
    state: 'complete',
    openedAtMs: NOW_MS - daysAgo * DAY_MS,
    clientTimeMs: 0,
    closedAtMs: NOW_MS,
    stats: {},
    marks: { title: '', priority: 0, isLocked: false, isExpendable: false, tags: [] },
    isDoubtful: false,
    isSealed: false,
  };
}

const SETS = [setAt(1, 9), setAt(2, 5), setAt(4, 1), setAt(5, 0)];

async function within(setRange: string | undefined, dateRange?: string): Promise<number[]> {
  const options = { setRange, dateRange, recentSet: 'Current' };
  return (await setsWithin('me', SETS, options, NOW_MS)).map(({ set }) => set);
}

test('sets are chosen by a range of numbers, names or dates, with open ends', async (t) => {
  t.deepEqual(await within(undefined), [1, 2, 4, 5]);
  t.deepEqual(await within('2:4'), [2, 4]);
  t.deepEqual(await within(':2'), [1, 2]);
  t.deepEqual(await within('set 4:Current'), [4, 5]);
  t.deepEqual(await within(undefined, '6 days ago..'), [2, 4, 5]);
  t.deepEqual(await within(undefined, '..2 days ago'), [1, 2]);
  t.false(hasRange({ setRange: undefined, dateRange: undefined, recentSet: 'Current' }));
  t.is(await rejectedCode(within('1:2', '..now')), 'USAGE');
  t.is(await rejectedCode(within('2')), 'USAGE');
  t.is(await rejectedCode(within('9:')), 'NO_SUCH_SET');
  t.is(await rejectedCode(within(undefined, 'some day..')), 'BAD_DATE');
});

test('a day as the start of a range includes that day', async (t) => {
  t.deepEqual(await within(undefined, 'yesterday..'), [4, 5]);
  t.deepEqual(await within(undefined, '..yesterday'), [1, 2, 4]);
});

test('a version is shown with its first and last listed set', (t) => {
  const span = (firstSet: number, lastSet?: number) => listedSpan({ firstSet, lastSet }, SETS);
  t.deepEqual(span(1, 2), { firstSet: 1, lastSet: 2 });
  t.deepEqual(span(3, 4), { firstSet: 4, lastSet: 4 });
  t.deepEqual(span(2), { firstSet: 2, lastSet: undefined });
  t.is(span(3, 3), undefined); // only an unlisted set had it
  t.is(span(6), undefined);
});

test('LS_COLORS gives each entry the most specific color', (t) => {
  const colors = new LsColors(
    'di=01;34:tw=30;42:ex=01;32:su=37;41:ln=36:*.tar=31:*.tar.gz=35:*~=90:fi=0:*.bad=\u001b:junk',
  );
  const codeOf = (name: string, type: number, permissions = 0o644): string | undefined =>
    colors.codeOf({ name: Buffer.from(name), type, permissions } as never);
  t.is(codeOf('d', EntryType.directory, 0o755), '01;34');
  t.is(codeOf('d', EntryType.directory, 0o1777), '30;42');
  t.is(codeOf('l', EntryType.symlink), '36');
  t.is(codeOf('p', EntryType.fifo), undefined);
  t.is(codeOf('x.tar', EntryType.file, 0o755), '01;32');
  t.is(codeOf('x', EntryType.file, 0o4755), '37;41');
  t.is(codeOf('x.tar', EntryType.file), '31');
  t.is(codeOf('x.tar.gz', EntryType.file), '35');
  t.is(codeOf('x~', EntryType.file), '90');
  t.is(codeOf('x.bad', EntryType.file), '0');
  t.is(new LsColors('di=1:'.repeat(20_000)).codeOf({} as never), undefined);
});

test('tags are single words; the error shows an invalid one without control characters', (t) => {
  t.notThrows(() => requireTags(['before-upgrade', 'ok']));
  t.is(
    thrownCode(() => requireTags(['ok', 'two words'])),
    'USAGE',
  );
  const error = t.throws(() => requireTags([`a b\u001b${'c'.repeat(200)}`]));
  t.false(error.message.includes('\u001b'));
  t.true(error.message.length < 200);
});
