// Pace: quick
/** The small decisions of the tools: numbers for people, words for a shell, patterns, sets and servers. */
import { namePattern, wordsPattern } from '../../src/excludes/index.js';
import { spawnSync } from 'node:child_process';
import test from 'ava';
import {
  chosenSets,
  counted,
  formatCount,
  formatSeconds,
  formatTable,
  formatTime,
  serverPlace,
  shellWord,
} from '../../src/tools/index.js';
import { thrownCode } from '../helpers/codes.js';
import { run } from '../helpers/commands.js';

type Sets = Parameters<typeof chosenSets>[1];

test('counts have separators, and their nouns a number', (t) => {
  const shown = [0, 1, 999, 1000, 1_234_567, Number.MAX_SAFE_INTEGER].map(formatCount);
  t.deepEqual(shown, ['0', '1', '999', '1,000', '1,234,567', '9,007,199,254,740,991']);
  t.is(counted(1, 'entry', 'entries'), '1 entry');
  t.is(counted(0, 'file'), '0 files');
  t.is(counted(2000, 'entry', 'entries'), '2,000 entries');
});

test('times are short, and one that no calendar has is no error', (t) => {
  t.is(formatSeconds(0), '0.00 s');
  t.is(formatSeconds(1234), '1.23 s');
  t.is(formatSeconds(60_000), '1 min 0 s');
  t.is(formatSeconds(3_599_600), '60 min 0 s');
  t.is(formatTime(Number.NaN), 'no date');
  t.is(formatTime(Number.MAX_SAFE_INTEGER), 'no date');
  t.regex(formatTime(0), /^19(69|70)-\d\d-\d\d \d\d:\d\d:00$/);
});

test('a table is as wide as its cells, and its lines have no blank ends', (t) => {
  const rows = [
    ['n', 'name', ''],
    ['1', 'a', 'x'],
    ['100', 'longer', ''],
  ];
  t.is(formatTable(rows, [0]), '  n  name\n  1  a       x\n100  longer');
  t.is(formatTable([], [0]), '');
  t.is(formatTable([['a', 'b'], ['c']], []), 'a  b\nc');
});

test('a word for a shell is read back as it was', (t) => {
  const words = [
    'plain',
    '',
    'two words',
    "it's",
    '$(reboot)',
    '`x`',
    '!',
    '*',
    '~',
    'a\nb',
    'é☃',
    '\u001b[31m',
    '-n',
    '\\',
    '\u0001f',
  ];
  for (const word of words) {
    const { stdout } = spawnSync('bash', ['-c', `printf '%s' ${shellWord(word)}`]);
    if (word !== '-n') t.is(stdout.toString(), word, shellWord(word));
    t.regex(shellWord(word), /^[\x20-\x7e]+$/, 'printable');
  }
  t.is(shellWord('/a/b-c_d.e:f@g%h+i,j=k'), '/a/b-c_d.e:f@g%h+i,j=k');
});

test('the words of a search match in any order, in letters of any size', (t) => {
  for (const [text, path, wanted] of [
    ['01 LETTER', '/a/letters-01.txt', true],
    ['letter 02', '/a/letters-01.txt', false],
    ['*.PDF budget', '/a/Budget-Final.pdf', true],
    ['*.PDF draft', '/a/Budget-Final.pdf', false],
    ['ÄPFEL', '/a/a\u0308pfel.txt', true],
    ['docs/Plan old', '/DOCS/plan old', false],
    ['DOCS/*plan* old', '/Docs/plan old', true],
    [' ', '/a', false],
    [' ', '/a b', true],
  ] as const) {
    const { isMatch, isPathMatch, literal } = wordsPattern(Buffer.from(text));
    const name = Buffer.from(path.slice(path.lastIndexOf('/') + 1));
    t.is(isMatch(name) && isPathMatch(Buffer.from(path)), wanted, `${text} ${path}`);
    const isPlausible = name.toString().toLowerCase().includes(literal.toString());
    t.true(isPlausible || !wanted, `${text}: ${literal.toString()}`);
  }
  const bytes = Buffer.from([0x41, 0xff, 0x42]);
  t.true(wordsPattern(Buffer.from([0x61, 0xff, 0x62])).isMatch(bytes));
});

test('a pattern matches names, and with a slash the directories above them', (t) => {
  const matches = (text: string, path: string): boolean => {
    const { isMatch, isPathMatch, literal } = namePattern(Buffer.from(text));
    const name = Buffer.from(path.slice(path.lastIndexOf('/') + 1));
    const isFound = isMatch(name) && isPathMatch(Buffer.from(path));
    if (isMatch(name)) t.true(name.includes(literal), `${text} ${path}`);
    return isFound;
  };
  for (const [text, path, wanted] of [
    ['port', '/a/report.txt', true],
    ['C:\\win', '/a/C:\\win\\evil.txt', true],
    ['\\', '/a/C:\\win', true],
    ['photo [1]', '/a/photo [1].jpg', true],
    ['photo [1]', '/a/photo 1', true],
    ['photo [1]', '/a/photo 1.jpg', false],
    ['[draft', '/a/[draft.txt', true],
    ['\\*', '/a/*', true],
    ['\\*', '/a/b', false],
    ['Port', '/a/report.txt', false],
    ['*.txt', '/a/report.txt', true],
    ['*.tx', '/a/report.txt', false],
    ['a/report.txt', '/b/a/report.txt', true],
    ['a/port', '/a/report.txt', false],
    ['a/*.txt', '/b/report.txt', false],
    ['/a/*.txt', '/a/report.txt', true],
    ['/a/*.txt', '/b/a/report.txt', false],
    ['?eport*', '/report.txt', true],
    ['[rR]eport.txt', '/Report.txt', true],
    ['x/y/z', '/z', false],
    ['re\\*port', '/re*port', true],
    ['re\\*port', '/report', false],
  ] as const) {
    t.is(matches(text, path), wanted, `${text} ${path}`);
  }
});

test('sets are chosen by number, name, word and range, once each and in their order', (t) => {
  const marks = { tags: [] };
  const sets = [
    { set: 1, marks, name: 'one', state: 'complete' },
    { set: 2, marks, name: '3-9', state: 'complete' },
    { set: 4, marks, name: 'twice', state: 'complete' },
    { set: 5, marks, name: 'twice', state: 'unfinished' },
  ] as unknown as Sets;
  const chosen = (...words: string[]): number[] =>
    chosenSets('me', sets, words, 'recent').map(({ set }) => set);
  t.deepEqual(chosen('4', 'one', '1'), [1, 4]);
  t.deepEqual(chosen('recent'), [4], 'the newest complete one');
  t.deepEqual(chosen('2-4'), [2, 4]);
  t.deepEqual(chosen('3-9'), [2], 'a name comes before a range');
  t.deepEqual(chosen(), []);
  for (const word of ['3', '6-9', '4-2', 'none', '-1', '1-', '']) {
    t.is(
      thrownCode(() => chosen(word)),
      'NO_SUCH_SET',
      word,
    );
  }
  t.is(
    thrownCode(() => chosen('twice')),
    'USAGE',
  );
});

test('the port of a tardisremote without one in its URL comes from TARDIS_REMOTE_PORT', async (t) => {
  const at = async (url: string, env: Record<string, string>): Promise<string> =>
    (await run('lstardis', ['--server', url, '-C', 'me', '--reconnect', '0'], { env })).stderr;
  const env = { TARDIS_REMOTE_PORT: '1' };
  t.regex(await at('https://127.0.0.1/', env), /127\.0\.0\.1:1\b/);
  t.regex(await at('https://127.0.0.1:2/x', env), /127\.0\.0\.1:2\b/);
  t.regex(await at('https://127.0.0.1:443/', env), /127\.0\.0\.1:443\b/);
  t.regex(await at('https://127.0.0.1', {}), /127\.0\.0\.1:443\b/);
  t.regex(
    await at('http://127.0.0.1:7430/', {}),
    /give https:.*, and start tardisremote with a cert/,
  );
});

test('a server is reached by TLS, unless a socket or a loopback makes that needless', (t) => {
  const settings = {
    port: 7420,
    remoteUrlPort: undefined,
    ssl: undefined,
    validateCerts: undefined,
    insecureTcp: false,
    insecureNetwork: false,
  };
  t.deepEqual(serverPlace('/run/socket', settings, false), {
    address: { kind: 'unix', path: '/run/socket' },
    tls: undefined,
  });
  t.deepEqual(serverPlace('host.example', settings, false).tls, { validate: true });
  t.deepEqual(serverPlace('host.example', settings, true).tls, { validate: false });
  const strict = { ...settings, validateCerts: true };
  t.deepEqual(serverPlace('host.example', strict, true).tls, { validate: true });
  const plain = { ...settings, insecureTcp: true };
  t.is(serverPlace('127.0.0.1', plain, false).tls, undefined);
  t.is(
    thrownCode(() => serverPlace('host.example', plain, true)),
    'INSECURE_TCP_REFUSED',
  );
  const noTls = { ...settings, ssl: false };
  t.is(
    thrownCode(() => serverPlace('127.0.0.1', noTls, true)),
    'INSECURE_TCP_REFUSED',
  );
  for (const host of [
    '',
    ':7420',
    'host:',
    'host:0',
    'host:65536',
    'a b',
    'user@host',
    'http://host',
    'run/socket',
  ]) {
    t.is(
      thrownCode(() => serverPlace(host, settings, true)),
      'CONFIG_INVALID',
      host,
    );
  }
  const { address } = serverPlace('host.example:7999', settings, true);
  t.deepEqual(address, { kind: 'tcp', host: 'host.example', port: 7999 });
  const noPort = { ...settings, port: 0 };
  t.is(
    thrownCode(() => serverPlace('host', noPort, true)),
    'CONFIG_INVALID',
  );
});
