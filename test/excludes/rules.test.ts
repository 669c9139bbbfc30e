import test from 'ava';
import {
  packChains,
  parseRule,
  parseRules,
  RuleList,
  type RuleLink,
  type RuleOrigin,
  unpackChains,
} from '../../src/excludes/index.js';

const ORIGIN: RuleOrigin = { kind: 'file', name: '/rules' };

function texts(file: string): [line: number, text: string][] {
  return parseRules(Buffer.from(file, 'latin1'), ORIGIN, 'directory').map(({ line, text }) => [
    line,
    text,
  ]);
}

test('lines of a rule file', (t) => {
  t.deepEqual(texts('a\n\n# b\n c\n'), [
    [1, 'a'],
    [4, ' c'],
  ]);
  t.deepEqual(texts('a  \nb\\ \nc\\  \nd\\\\ \ne \\ f '), [
    [1, 'a'],
    [2, 'b\\ '],
    [3, 'c\\ '],
    [4, 'd\\\\'],
    [5, 'e \\ f'],
  ]);
  t.deepEqual(texts('a\r\nb\r\r\nc\r'), [
    [1, 'a'],
    [2, 'b\r'],
    [3, 'c'],
  ]);
  t.deepEqual(texts('\u00ef\u00bb\u00bf#a\nb'), [[2, 'b']], 'a byte order mark');
  t.deepEqual(texts('a\0b\n\0\n'), [[1, 'a']]);
  t.deepEqual(texts(''), []);
});

test('the last rule that matches decides', (t) => {
  const list = new RuleList(
    parseRules(Buffer.from('a\n*.o\n!a\nb/\nx/y\n/z\na/\n'), ORIGIN, 'directory'),
  );
  const line = (name: string, beneath = '', isDirectory = false): number | undefined =>
    list.find(name, beneath, isDirectory)?.line;
  t.is(line('a'), 3);
  t.is(line('a', '', true), 7);
  t.is(line('a.o', 'deep/er/'), 2);
  t.is(line('b'), undefined);
  t.is(line('b', 'deep/', true), 4);
  t.is(line('y', 'x/'), 5);
  t.is(line('y', 'deep/x/'), undefined);
  t.is(line('z'), 6);
  t.is(line('z', 'x/'), undefined);
});

test('patterns that lie in no directory hold for ends of paths, and whole ones', (t) => {
  const find = (pattern: string, name: string, beneath: string): boolean =>
    new RuleList([parseRule(pattern, ORIGIN, 1, 'anywhere')]).find(name, beneath, true) !==
    undefined;
  t.true(find('x/y', 'y', 'home/me/x/'));
  t.true(find('x/y/', 'y', 'x/'));
  t.false(find('x/y', 'y', 'home/xx/'));
  t.true(find('/home/*/y', 'y', 'home/me/'));
  t.false(find('/y', 'y', 'home/'));
  t.true(find('y', 'y', 'home/me/'));
  t.true(find('#y', '#y', ''));
  t.true(parseRule('!y', ORIGIN, 1, 'anywhere').isKeeping);
});

test('chains of rule files cross threads as they are, each link once', (t) => {
  const link = (above: RuleLink | undefined, name: string): RuleLink => ({
    above,
    path: Buffer.from(name),
    files: [{ name, bytes: Buffer.from(name) }],
    totalBytes: (above?.totalBytes ?? 0) + name.length,
  });
  const top = link(undefined, 'top');
  const [one, two] = [link(top, 'one'), link(top, 'two')];
  const chains = [undefined, one, two, one, top, undefined];
  t.is(packChains([undefined, undefined]), undefined, 'nothing where there is nothing');
  const packed = structuredClone(packChains(chains));
  t.is(packed?.links.length, 3);
  const chainOf = unpackChains(packed);
  const names = (chain: RuleLink | undefined): string =>
    chain === undefined ? '' : `${chain.files[0]!.name} ${names(chain.above)}`;
  t.deepEqual(
    chains.map((_chain, index) => names(chainOf(index))),
    chains.map(names),
  );
  t.is(chainOf(1), chainOf(3));
  t.is(chainOf(1)?.above, chainOf(4));
  let deep = top;
  for (let depth = 0; depth < 20_000; depth += 1) deep = link(deep, 'x');
  const cloned = unpackChains(structuredClone(packChains([deep])))(0);
  t.is(cloned?.totalBytes, deep.totalBytes, 'however deep they are');
});
