/** The choice of what a restore brings back. */
import test from 'ava';
import { pathFilter } from '../../src/restore/index.js';

const bytes = (texts: readonly string[]): Buffer[] => texts.map((text) => Buffer.from(text));

/** Returns the verdict on a path; a directory ends in a slash. */
function verdict(
  includes: readonly string[],
  excludes: readonly string[],
  path: string,
  isInside = false,
): string {
  const isDirectory = path.endsWith('/');
  const whole = isDirectory ? path.slice(0, -1) : path;
  const slash = whole.lastIndexOf('/');
  const filter = pathFilter(bytes(includes), bytes(excludes))!;
  const directory = Buffer.from(whole.slice(0, slash) || '/');
  return filter.verdict(directory, Buffer.from(whole.slice(slash + 1)), isDirectory, isInside);
}

test('without patterns there is no filter', (t) => {
  t.is(pathFilter([], []), undefined);
});

test('an excluded path stays out, also within an included directory', (t) => {
  t.is(verdict([], ['*.o'], '/home/a.o'), 'out');
  t.is(verdict([], ['*.o'], '/home/a.c'), 'in');
  t.is(verdict(['src'], ['*.o'], '/home/src/a.o', true), 'out');
});

test('only included paths come back, with all that is below them', (t) => {
  t.is(verdict(['*.txt'], [], '/home/a.txt'), 'in');
  t.is(verdict(['*.txt'], [], '/home/a.c'), 'out');
  t.is(verdict(['docs'], [], '/home/docs/'), 'in');
  t.is(verdict(['docs'], [], '/home/docs/a.c', true), 'in');
});

test('a directory that is not included may lead to one that is', (t) => {
  t.is(verdict(['*.txt'], [], '/home/any/'), 'through');
  t.is(verdict(['*.txt'], ['any'], '/home/any/'), 'out');
});

test('a pattern with a slash at its start begins at the root of the file system', (t) => {
  t.is(verdict(['/home/docs'], [], '/home/docs/'), 'in');
  t.is(verdict(['/home/docs'], [], '/other/home/docs/'), 'through');
});

test('names are bytes, and need not be text', (t) => {
  const filter = pathFilter([Buffer.from([0xff, 0x2a])], [])!;
  const verdictOf = (name: number[]) =>
    filter.verdict(Buffer.from('/'), Buffer.from(name), false, false);
  t.is(verdictOf([0xff, 0x01]), 'in');
  t.is(verdictOf([0xfe, 0x01]), 'out');
});
