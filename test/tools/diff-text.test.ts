/** The forms of `tardiff`: the lines that each of them makes of the same differences. */
import test from 'ava';
import {
  contextDiff,
  type DiffLine,
  sideBySideDiff,
  terminalText,
  unifiedDiff,
  wholeDiff,
} from '../../src/tools/index.js';

const NAMES = { before: 'old\tMonday', after: 'new\tTuesday' };
const HUNK = {
  beforeStart: 4,
  beforeLines: 3,
  afterStart: 4,
  afterLines: 4,
  lines: [' same', '-the turnips are ripe', '+the turnips are gone', '+one more', ' end'],
};
const REMOVED = { beforeStart: 1, beforeLines: 1, afterStart: 0, afterLines: 0, lines: ['-gone'] };

function textOf(lines: Iterable<DiffLine>): string[] {
  return [...lines].map(({ bytes }) => bytes.toString('latin1'));
}

test('a unified diff has the form that patch reads', (t) => {
  t.deepEqual(textOf(unifiedDiff([HUNK, REMOVED], NAMES)), [
    '--- old\tMonday',
    '+++ new\tTuesday',
    '@@ -4,3 +4,4 @@',
    ...HUNK.lines,
    '@@ -1 +0,0 @@',
    '-gone',
  ]);
  const styles = [...unifiedDiff([HUNK], NAMES)].map(({ style }) => style);
  t.deepEqual(styles, ['header', 'header', 'place', 'same', 'gone', 'new', 'new', 'same']);
});

test('a context diff shows each side with its marks, and a side without changes by its place only', (t) => {
  t.deepEqual(textOf(contextDiff([HUNK], NAMES)), [
    '*** old\tMonday',
    '--- new\tTuesday',
    '***************',
    '*** 4,6 ****',
    '  same',
    '! the turnips are ripe',
    '  end',
    '--- 4,7 ----',
    '  same',
    '! the turnips are gone',
    '! one more',
    '  end',
  ]);
  t.deepEqual(textOf(contextDiff([REMOVED], NAMES)).slice(2), [
    '***************',
    '*** 1 ****',
    '- gone',
    '--- 0 ----',
  ]);
});

test('a whole diff marks the part of a line that differs', (t) => {
  t.deepEqual(textOf(wholeDiff([HUNK], NAMES)).slice(2), [
    '  same',
    '- the turnips are ripe',
    '?                 ^^^',
    '+ the turnips are gone',
    '?                 ^^^',
    '+ one more',
    '  end',
  ]);
  const other = { ...HUNK, lines: ['-abcdef', '+uvwxyz'] };
  t.deepEqual(textOf(wholeDiff([other], NAMES)).slice(2), ['- abcdef', '+ uvwxyz']);
});

test('side by side, lines are cut to the width, and control characters are escaped', (t) => {
  const lines = [' a\tb', '-old', '+new', '+\u001b[31m'];
  const shown = textOf(sideBySideDiff([{ ...HUNK, lines }], NAMES, 43));
  t.deepEqual(
    shown.map((line) => line.slice(21, 22)),
    [' ', ' ', '|', '>'],
  );
  t.is(shown[1]!.slice(0, 20).trimEnd(), 'a       b');
  t.regex(shown[3]!, /\\x1b\[31m$/);
  t.true(shown.every((line) => line.length <= 43));
  const narrow = textOf(sideBySideDiff([HUNK], NAMES, 23));
  t.true(narrow.every((line) => line.length <= 23));
});

test('a note about a missing newline stays with its line', (t) => {
  const note = '\\ No newline at end of file';
  const hunk = { ...HUNK, lines: ['-old', note, '+new', note] };
  t.deepEqual(textOf(contextDiff([hunk], NAMES)).slice(4), [
    '! old',
    note,
    '--- 4,7 ----',
    '! new',
    note,
  ]);
  t.false(textOf(sideBySideDiff([hunk], NAMES, 80)).some((line) => line.includes('newline')));
});

test('a line for a terminal keeps its tabs and nothing else that a terminal obeys', (t) => {
  const line = { style: 'same', bytes: Buffer.from('a\tb\u0007\u009b') } as const;
  for (const obeyed of ['\u0007', '\u009b']) t.false(terminalText(line).includes(obeyed));
  t.regex(terminalText(line), /^a\tb/);
});
