import test from 'ava';
import { parseSize, parseValue, type ValueSpec as Spec } from '../../src/config/index.js';
import { TardisError } from '../../src/errors/index.js';
import { thrownCode } from '../helpers/codes.js';

type Value = string | number | boolean;

const GOOD: [Spec, string, Value][] = [
  [{ type: 'text' }, ' with spaces ', ' with spaces '],
  [{ type: 'name' }, 'tardis.db', 'tardis.db'],
  [{ type: 'mode' }, '027', 0o27],
  [{ type: 'count', range: [0, Infinity] }, '3', 3],
  [{ type: 'text' }, '', ''],
  [{ type: 'bool' }, 'yes', true],
  [{ type: 'bool' }, ' TRUE ', true],
  [{ type: 'bool' }, 'On', true],
  [{ type: 'bool' }, '1', true],
  [{ type: 'bool' }, 'no', false],
  [{ type: 'bool' }, 'False', false],
  [{ type: 'bool' }, 'off', false],
  [{ type: 'bool' }, '0', false],
  [{ type: 'choice', choices: ['zstd', 'none'] }, ' none ', 'none'],
  [{ type: 'int' }, '42', 42],
  [{ type: 'int' }, '-7', -7],
  [{ type: 'int', range: [0, 3] }, '0', 0],
  [{ type: 'int', range: [0, 3] }, '3', 3],
  [{ type: 'seconds' }, '0.125', 0.125],
  [{ type: 'seconds' }, '300', 300],
  [{ type: 'size' }, '0', 0],
  [{ type: 'size' }, '512K', 512 * 1024],
  [{ type: 'size', range: [1 << 20, Infinity] }, '1M', 1 << 20],
];

const BAD: [Spec, string][] = [
  [{ type: 'name' }, ''],
  [{ type: 'name' }, '..'],
  [{ type: 'name' }, 'a/b'],
  [{ type: 'mode' }, '8'],
  [{ type: 'mode', range: [-Infinity, 0o777] }, '1000'],
  [{ type: 'path' }, 'a\0b'],
  [{ type: 'choice', choices: ['a'], refused: { b: 'a is better' } }, 'b'],
  [{ type: 'bool' }, ''],
  [{ type: 'bool' }, '2'],
  [{ type: 'bool' }, 'maybe'],
  [{ type: 'choice', choices: ['zstd', 'none'] }, 'ZSTD'],
  [{ type: 'choice', choices: ['zstd', 'none'] }, ''],
  [{ type: 'choice' }, 'anything'],
  [{ type: 'int' }, ''],
  [{ type: 'int' }, '1.5'],
  [{ type: 'int' }, '1e3'],
  [{ type: 'int' }, '0x10'],
  [{ type: 'int' }, 'ten'],
  [{ type: 'int' }, '10 apples'],
  [{ type: 'int' }, '9'.repeat(16)],
  [{ type: 'int', range: [1, Infinity] }, '0'],
  [{ type: 'int', range: [-Infinity, 3] }, '4'],
  [{ type: 'seconds' }, '-1'],
  [{ type: 'seconds' }, '1s'],
  [{ type: 'seconds' }, '.'],
  [{ type: 'seconds', range: [0.1, Infinity] }, '0.05'],
  [{ type: 'size' }, '-1'],
  [{ type: 'size', range: [1 << 20, Infinity] }, '1023K'],
  [{ type: 'size', range: [-Infinity, 1 << 20] }, '2M'],
];

test('texts become values of their type', (t) => {
  for (const [spec, text, value] of GOOD) {
    t.is(parseValue(text, spec, 'Key'), value, `${spec.type} "${text}"`);
  }
});

test('what is no value is refused, with the place and the text', (t) => {
  for (const [spec, text] of BAD) {
    const error = t.throws(() => parseValue(text, spec, 'Budget in /etc/tardis.conf'), {
      instanceOf: TardisError,
    });
    t.is(error.code, 'CONFIG_INVALID', `${spec.type} "${text}"`);
    t.true(error.message.includes('Budget in /etc/tardis.conf'), error.message);
    t.true(error.message.includes(`"${text.replace('\0', '\\x00')}"`), error.message);
  }
  const long = t.throws(() => parseValue('x'.repeat(100_000), { type: 'int' }, 'Key'));
  t.true(long.message.length < 300);
});

test('a refusal names what would be right', (t) => {
  const messageOf = (spec: Spec, text: string): string =>
    t.throws(() => parseValue(text, spec, 'Key')).message;
  t.regex(messageOf({ type: 'bool' }, 'x'), /yes or no/);
  t.regex(messageOf({ type: 'choice', choices: ['zstd', 'none'] }, 'x'), /zstd, none/);
  t.regex(messageOf({ type: 'int', range: [5, Infinity] }, '4'), /5/);
  t.regex(messageOf({ type: 'int', range: [-Infinity, 9] }, '10'), /9/);
});

test('sizes have units of 1024, in either case', (t) => {
  const sizes: [string, number][] = [
    ['0', 0],
    ['1', 1],
    ['4096', 4096],
    ['1k', 1024],
    ['1K', 1024],
    ['1KiB', 1024],
    ['1kb', 1024],
    ['3 M', 3 << 20],
    ['2G', 2 ** 31],
    ['1T', 2 ** 40],
    ['5 B', 5],
    [' 16m ', 16 << 20],
  ];
  for (const [text, bytes] of sizes) t.is(parseSize(text, 'Key'), bytes, text);
  for (const text of [
    '',
    'K',
    '1.5M',
    '-1',
    '1 X',
    '1KK',
    '0x10',
    '1e9',
    '9'.repeat(16),
    '1 000',
  ]) {
    const code = thrownCode(() => parseSize(text, 'Key'));
    t.is(code, 'CONFIG_INVALID', text);
  }
});
