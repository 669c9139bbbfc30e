import test from 'ava';
import { compileGlob } from '../../src/excludes/index.js';

/** Globs, the texts that they match, and texts that they do not match, as in git (with its oddities). */
const CASES: [glob: string, matching: string[], other: string[]][] = [
  ['', [''], ['a']],
  ['a', ['a'], ['', 'aa', 'A', 'a/a']],
  ['*', ['', 'a', '.a'], ['a/b']],
  ['*.o', ['.o', 'a.o'], ['a.oo', 'a/b.o']],
  ['a*c', ['ac', 'abc', 'abcc'], ['a', 'ab', 'a/c']],
  ['?', ['a', '\u00ff'], ['', 'ab', '/']],
  ['**', ['', 'a', 'a/b'], []],
  ['**/a', ['a', 'b/a', 'c/b/a'], ['ba', 'a/b']],
  ['a/**', ['a/', 'a/b', 'a/b/c'], ['a', 'ba/b']],
  ['a/**/b', ['a/b', 'a/x/b', 'a/x/y/b'], ['ab', 'a/xb']],
  ['**/**/**/a', ['a', 'b/a'], ['ab']],
  ['a/**b', ['a/b', 'a/xb'], ['a/x/b']],
  ['a**/b', ['ab', 'a/b', 'axx/b', 'a/x/b'], ['b']], // behind plain text git matches as at the beginning
  ['?**/b', ['a/b', 'ax/b'], ['ab', 'a/x/b']],
  ['*/b', ['a/b', '/b'], ['b', 'a/c/b']],
  ['[abc]', ['a', 'c'], ['d', '', '/']],
  ['[a-c]', ['a', 'b', 'c'], ['d']],
  ['[c-a]', ['c'], ['b', 'a']],
  ['[!a]', ['b'], ['a', '/']],
  ['[^a-b]', ['c'], ['a', 'b', '/']],
  ['[]]', [']'], ['[']],
  ['[!]]', ['a'], [']']],
  ['[]-a]', [']', '^', 'a'], ['b', '-']],
  ['[a-]', ['a', '-'], ['b']],
  ['[\\]]', [']'], ['\\']],
  ['[\\a-\\c]', ['b'], ['\\']],
  ['[[:digit:]x]', ['1', 'x'], ['a']],
  ['[[:space:]]', [' ', '\t'], ['\v', 'a']],
  ['[[:upper:][:digit:]]', ['A', '0'], ['a']],
  ['[[:nonsense:]]', [], ['n', ':']],
  ['[[:constructor:]]', [], ['c']],
  ['[[:a]', ['[', ':', 'a'], ['b']],
  ['[/]', [], ['/']],
  ['a[', [], ['a[', 'a']],
  ['[a', [], ['[a', 'a']],
  ['a\\', [], ['a\\', 'a']],
  ['\\a\\*', ['a*'], ['ab', '\\a*']],
  ['\u00e9?', ['\u00e9\u00ff'], ['\u00e9']],
];

for (const [glob, matching, other] of CASES) {
  test(`the glob ${JSON.stringify(glob)}`, (t) => {
    const compiled = compileGlob(glob);
    for (const each of matching) t.true(compiled.matches(each), JSON.stringify(each));
    for (const each of other) t.false(compiled.matches(each), JSON.stringify(each));
  });
}

test('hostile globs take no more steps than their length times that of the text', (t) => {
  // With backtracking each of these would take exponential time.
  const long = 'a'.repeat(4000);
  for (const [piece, end] of [
    ['a*', 'b'],
    ['*a', 'b'],
    ['?*', '/'],
    ['**/', 'b'],
    ['*[a]', '\\b'],
  ] as const) {
    const glob = compileGlob(piece.repeat(300) + end);
    t.false(glob.matches(long), piece);
    t.false(glob.matches(`${long}/${long}`), piece);
  }
  t.true(compileGlob(`${'a*'.repeat(300)}b`).matches(`${long}b`));
  t.true(compileGlob(`${'**/'.repeat(3000)}b`).matches('a/b'), 'nor do they go deep');
});
