/** Splitting of command lines into words, and `@file` arguments. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import * as fc from 'fast-check';
import {
  expandArguments,
  formatValue,
  parseValue,
  splitList,
  splitWords,
} from '../../src/config/index.js';
import { TardisError } from '../../src/errors/index.js';
import { byteText, textBytes } from '../../src/system/index.js';
import { scratch } from '../helpers/scratch.js';

function refusal(t: ExecutionContext, act: () => unknown): string {
  const error = t.throws(act, { instanceOf: TardisError });
  t.is(error.code, 'CONFIG_INVALID');
  return error.message;
}

test('words are those of a shell, without its expansions', (t) => {
  for (const [text, words] of [
    ['', []],
    ['  \n\t ', []],
    ['a b\nc', ['a', 'b', 'c']],
    ['"a b" \'c d\'', ['a b', 'c d']],
    ['a"b c"d', ['ab cd']],
    ['a\\ b "c\\"d" \'e\\f\'', ['a b', 'c"d', 'e\\f']],
    ['"" \'\'', ['', '']],
    ['$HOME *.c `x`', ['$HOME', '*.c', '`x`']],
    ['a #b', ['a', '#b']],
  ] as const) {
    t.deepEqual(splitWords(text, 'here'), [...words], text);
  }
  t.deepEqual(splitWords('a #b\nc#d # e', 'here', true), ['a', 'c#d']);
  t.deepEqual(splitWords('a,b, c', 'here'), ['a,b,', 'c'], 'a command has commas');
  t.deepEqual(splitList('a, b,c d,\n,e', 'here'), ['a', 'b', 'c', 'd', 'e']);
  t.deepEqual(splitList(`"a,b" c\\,d 'e, f'`, 'here'), ['a,b', 'c,d', 'e, f']);
  const list = { type: 'texts' } as const;
  const held = ['a,b', 'c d', 'e'];
  t.deepEqual(parseValue(formatValue(held, list), list, 'here'), held);
  for (const open of ['"a', "'a", 'a\\']) {
    t.regex(
      refusal(t, () => splitWords(open, 'here')),
      /^here /,
    );
  }
  t.regex(
    refusal(t, () => splitWords('a '.repeat(70_000), 'here')),
    /more than 65536 words/,
  );
});

test('a list that is shown can be read again', (t) => {
  fc.assert(
    fc.property(fc.array(fc.string()), (words) => {
      const shown = formatValue(words, { type: 'texts' });
      t.deepEqual(parseValue(shown, { type: 'texts' }, 'here'), words);
    }),
  );
});

test('any bytes go through byte text and back', (t) => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      t.deepEqual(textBytes(byteText(bytes)), Buffer.from(bytes));
    }),
  );
  for (const text of ['', 'ü', '\u{1f600}', 'a\u{10ffff}b', '\ufffd']) {
    t.is(byteText(Buffer.from(text)), text);
    t.deepEqual(textBytes(text), Buffer.from(text));
  }
  // Encoded surrogates, overlong forms and truncated sequences are ordinary bytes.
  for (const hex of ['eda080', 'edb2ff', 'c080', 'f4908080', 'e282', 'f09f98', 'ff41ff']) {
    const bytes = Buffer.from(hex, 'hex');
    t.deepEqual(textBytes(byteText(bytes)), bytes, hex);
  }
});

test('@file stands for its words, and for those of files within', (t) => {
  const folder = scratch(t);
  const at = (name: string): string => path.join(folder, name);
  fs.writeFileSync(at('inner'), '--stats # all\n');
  fs.writeFileSync(at('outer'), `-D "/my store" @${at('inner')} -v\n`);
  t.deepEqual(expandArguments(['a', `@${at('outer')}`, 'b']), [
    'a',
    '-D',
    '/my store',
    '--stats',
    '-v',
    'b',
  ]);
  t.deepEqual(expandArguments(['@', './@x', '--name=@x', '--', `@${at('outer')}`]), [
    '@',
    './@x',
    '--name=@x',
    '--',
    `@${at('outer')}`,
  ]);
  t.deepEqual(expandArguments(['-d', '@86400', '@-1.5']), ['-d', '@86400', '@-1.5'], 'seconds');
  t.deepEqual(expandArguments(Array<string>(3).fill(`@${at('inner')}`)), [
    '--stats',
    '--stats',
    '--stats',
  ]);
});

test('circles, depth, size and number of @files are bounded', (t) => {
  const folder = scratch(t);
  const at = (name: string): string => path.join(folder, name);
  const refused = (file: string): string => refusal(t, () => expandArguments([`@${at(file)}`]));
  fs.writeFileSync(at('self'), `x @${at('self')}`);
  t.regex(refused('self'), /self includes itself/);
  fs.writeFileSync(at('ping'), `@${at('pong')}`);
  fs.writeFileSync(at('pong'), `@${folder}/../${path.basename(folder)}/ping`);
  t.regex(refused('ping'), /ping includes itself/);
  for (let depth = 0; depth < 20; depth += 1) {
    fs.writeFileSync(at(`deep${depth}`), `@${at(`deep${depth + 1}`)}`);
  }
  t.regex(refused('deep0'), /more than 8 files deep/);
  fs.writeFileSync(at('huge'), Buffer.alloc((1 << 20) + 1, ' '));
  t.regex(refused('huge'), /EFBIG/);
  fs.writeFileSync(at('binary'), Buffer.from([1, 0, 2]));
  t.regex(refused('binary'), /not a text file/);
  t.regex(refused('missing'), /ENOENT/);
  // Each file names the one below it a hundred times: the number of arguments is bounded, not only the depth.
  fs.writeFileSync(at('bomb0'), 'x '.repeat(1000));
  for (let level = 1; level < 4; level += 1) {
    fs.writeFileSync(at(`bomb${level}`), `@${at(`bomb${level - 1}`)} `.repeat(100));
  }
  t.regex(refused('bomb3'), /more than 65536 arguments/);
});
