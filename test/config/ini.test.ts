/** Configuration files: parsing, and refusal of hostile files. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { parseIni, readIni } from '../../src/config/index.js';
import { TardisError } from '../../src/errors/index.js';
import { scratch, written } from '../helpers/scratch.js';

const MIB = 1 << 20;

function read(text: string): Record<string, Record<string, string>> {
  return Object.fromEntries(
    parseIni(text, 'f').map(({ name, entries }) => [
      name,
      Object.fromEntries(entries.map(({ key, text: value }) => [key, value])),
    ]),
  );
}

function refusal(t: ExecutionContext, act: () => unknown): string {
  const error = t.throws(act, { instanceOf: TardisError });
  t.is(error.code, 'CONFIG_INVALID');
  t.true(error.message.length < 400, 'a long message');
  return error.message;
}

test('sections, keys, comments, further lines', (t) => {
  const text = [
    '\ufeff# a comment',
    '; another',
    '[Tardis]',
    'Port=1',
    'BaseDir : /a=b:c ; no comment',
    '  [not] a section, but a further line',
    '  # a comment within',
    '',
    '  and the last',
    'Empty =',
    '\tbut for this',
    '[other one]\r',
    '  Indented = yes',
    '  Second = 2\r',
    '',
  ].join('\n');
  t.deepEqual(read(text), {
    Tardis: {
      Port: '1',
      BaseDir: '/a=b:c ; no comment\n[not] a section, but a further line\nand the last',
      Empty: 'but for this',
    },
    'other one': { Indented: 'yes', Second: '2' },
  });
  t.deepEqual(read(''), {});
  t.deepEqual(read('\n\n[Tardis]\n; Port = 1\n'), { Tardis: {} });
});

test('each line knows its number', (t) => {
  const [section] = parseIni('\n[a]\n\nx = 1\n  2\ny = 3\n', 'f');
  t.deepEqual(
    section!.entries.map(({ key, line }) => [key, line]),
    [
      ['x', 4],
      ['y', 6],
    ],
  );
});

test('what is no configuration is refused with its line', (t) => {
  for (const [text, wanted] of [
    ['Port = 1\n', /^f:1: "Port" is outside a section$/],
    ['[a]\nPort\n', /^f:2: "Port" is not of the form "key = value"$/],
    ['[a]\n= 1\n', /^f:2: "= 1" is not of the form "key = value"$/],
    ['[a\nx = 1\n', /^f:1: "\[a" is not a section$/],
    ['[]\n', /^f:1: "\[\]" is not a section$/],
    ['[a] b\n', /^f:1: "\[a\] b" is not a section$/],
    ['[a]\nx = 1\nX = 1\n', /^f:3: \[a\] has "X" twice$/],
    ['[a]\n[b]\n[A]\n', /^f:3: duplicate section \[A\]$/],
    [`[a]\n${'x'.repeat(100_000)}\n`, /^f:2: "x{80}" is not/],
    ['[a]\n\u001b[31mred\u0007\n', /^f:2: "\\x1b\[31mred\\x07" is not/],
  ] as const) {
    t.regex(
      refusal(t, () => parseIni(text, 'f')),
      wanted,
    );
  }
});

test('huge, binary, and unreadable files are refused by name', (t) => {
  const folder = scratch(t);
  const refused = (name: string, bytes: string | Buffer): string => {
    const file = written(folder, name, bytes);
    return refusal(t, () => readIni(Buffer.from(file), name));
  };
  t.regex(refused('huge', Buffer.alloc(MIB + 1, '#\n')), /huge: file too large/);
  t.regex(
    refused('binary', Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0, 1])),
    /binary is not a text file/,
  );
  t.regex(refused('noise', Buffer.alloc(1000, 0xff)), /noise:1: /);
  t.regex(
    refusal(t, () => readIni(Buffer.from('/dev/zero'), 'endless')),
    /endless: file too large/,
  );
  t.regex(
    refusal(t, () => readIni(Buffer.from(folder), 'folder')),
    /folder: illegal operation on a directory/,
  );
});

test('the largest file that is allowed is read in little time', (t) => {
  const file = path.join(scratch(t), 'large');
  const lines = `[Tardis]\nDirectories =\n${'  /a\n'.repeat((MIB - 100) / 5)}`;
  fs.writeFileSync(file, lines);
  const [section] = readIni(Buffer.from(file), 'large');
  t.is(section!.entries[0]!.text.split('\n').length, Math.floor((MIB - 100) / 5));
});

test('a long line without a sign is refused as fast as a short one', (t) => {
  // With a regular expression that searches for blanks before the sign, a MiB takes half an hour.
  const message = refusal(t, () => parseIni(`[Tardis]\na${' '.repeat(MIB)}b`, 'f'));
  t.regex(message, /^f:2: /);
});
