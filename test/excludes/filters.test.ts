/** Filter files: the meaning of their lines, errors in them, and expressions that would take too long elsewhere. */
import test from 'ava';
import { TardisError } from '../../src/errors/index.js';
import {
  CryptFilter,
  type FilterFile,
  FilterRules,
  MAX_EXPRESSION_BYTES,
  MAX_FILTER_FILE_BYTES,
  MAX_FILTER_LINES,
  MAX_TAGS,
  parseCryptFile,
  parseFilterFile,
  SAMPLE_FILTER,
} from '../../src/excludes/index.js';
import { Scheme } from '../../src/model/index.js';

function fileOf(...lines: string[]): FilterFile {
  return { path: '/etc/filter', bytes: Buffer.from(lines.join('\n'), 'latin1') };
}

/** Returns the code and the message of the error; empty if there is none. */
function printed(parse: () => unknown): string {
  try {
    parse();
  } catch (error) {
    if (!(error instanceof TardisError)) throw error;
    return `${error.code} ${error.message}`;
  }
  return '';
}

/**
 * Returns a function that gives the number of the deciding line, with `+` if that line accepts and `-` if it rejects;
 * empty if no line decides.
 */
function decider(...lines: string[]): (path: string, isDirectory?: boolean) => string {
  const rules = new FilterRules(parseFilterFile(fileOf(...lines)));
  return (path, isDirectory = false) => {
    const slash = path.lastIndexOf('/');
    const line = rules.find(path.slice(0, slash) || '/', path.slice(slash + 1), isDirectory);
    return line === undefined ? '' : `${line.line}${line.isAccepting ? '+' : '-'}`;
  };
}

test('the first line that matches decides, by its kind', (t) => {
  const ask = decider(
    '# a comment',
    'dir\treject   ^test$',
    '',
    '  FILE Accept .*\\.c$  \r',
    'path reject /home/[^/]+/tmp',
    'any accept [a-m]',
  );
  t.is(ask('/x/test', true), '2-');
  t.is(ask('/x/test'), '', 'a file is no directory');
  t.is(ask('/home/me/tmp/a.c'), '4+', 'lines count from the first one');
  t.is(ask('/home/me/tmp/a.h'), '5-');
  t.is(ask('/home/me/a.h'), '6+');
  t.is(ask('/home/me/dir', true), '6+');
  t.is(ask('/home/me/z'), '');
  t.is(ask('/home'), '6+', 'a name in the topmost directory');
});

test('an expression is held against the beginning of a name, not its end', (t) => {
  const ask = decider('file accept a', 'file accept .*b');
  t.is(ask('/ab'), '1+');
  t.is(ask('/xbx'), '2+');
  t.is(ask('/xa'), '');
  t.is(decider('file accept a|b$')('/cb'), '', 'all alternatives of it');
  t.is(decider('path accept /x')('/x'), '1+');
});

test('names and expressions are bytes', (t) => {
  const name = Buffer.from([0x66, 0xff, 0xfe, 0x80, 0x0a]).toString('latin1');
  t.is(decider('file accept f...\\n$')(`/${name}`), '1+', 'each dot is one byte');
  t.is(decider('file accept f\\xff[\\x80-\\xff]{2}')(`/${name}`), '1+');
  t.is(decider('file accept f\xff')(`/${name}`), '1+', 'a byte that is written as it is');
  t.is(decider('file accept .*$')(`/${name}`), '', 'a dot is no newline');
  const umlaut = Buffer.from('ü').toString('latin1');
  t.is(decider(`file accept ${umlaut}$`)(`/${umlaut}`), '1+');
  t.is(decider('file accept \\w$')('/\u00e4'), '', 'no byte is a letter of Latin-1');
});

test('what is wrong with a filter file is reported with its line', (t) => {
  const report = (...lines: string[]): string => printed(() => parseFilterFile(fileOf(...lines)));
  const cases: readonly [line: string, what: RegExp][] = [
    ['file accept', /a line must be: file, dir, any or path; accept or reject/],
    ['files accept .*', /"files" is not one of file, dir, any, path/],
    ['file take .*', /"take" is neither accept nor reject/],
    ['file accept (a', /"\(a": missing closing \)/],
    ['file accept (?=a)', /"\(\?=a\)": invalid or unsupported Perl syntax/],
    ['file accept (a)\\1', /invalid escape sequence/],
    ['file accept \\pL', /invalid/],
    ['file accept ((a{1000}){1000})', /invalid repeat count/],
    [`file accept ${'('.repeat(501)}${')'.repeat(499)}`, /missing closing/],
    [`file accept ${'a'.repeat(MAX_EXPRESSION_BYTES + 1)}`, /at most 1000 bytes/],
    ['file accept (?i)\xe4', /case can be ignored only/],
    ['file accept (?i)[\\xe0-\\xff]', /case can be ignored only/],
    ['file accept \x1b[31m(', /"\\x1b\[31m\(": missing closing/],
  ];
  for (const [line, what] of cases) {
    const found = report('# one', 'any accept x', line, 'any accept y');
    t.regex(found, what);
    t.true(found.startsWith('CONFIG_INVALID /etc/filter:3: '), found);
  }
  t.is(report('file accept (?i)[a-z]+\\.JPG$'), '');
  const many = Array.from({ length: MAX_FILTER_LINES }, () => 'any accept x');
  t.is(report(...many), '');
  t.regex(report(...many, 'any accept y'), /:1001: a filter file has at most 1000 rules/);
  const large = Array.from({ length: 20 }, () => 'any accept (a|b){400}');
  t.regex(report(...large), /:\d+: the expressions up to this line are too large together/);
  t.regex(report('#'.repeat(MAX_FILTER_FILE_BYTES + 1)), /:1: a filter file has at most 256 KiB/);
});

test('no expression takes more than time in proportion to a name', (t) => {
  const hostile = [
    '(a+)+$',
    '(a|a)*$',
    '(a|aa)+$',
    '(.*)(.*)(.*)(.*)(.*)x',
    '(?:.*[ab][^x]{300})$',
  ];
  for (const expression of hostile) {
    const ask = decider(`any accept ${expression}`);
    // A backtracking engine would take exponential time; the bound is generous.
    const before = process.cpuUsage();
    t.is(ask(`/${'a'.repeat(4000)}!x!`), expression.endsWith('x') ? '1+' : '', expression);
    t.true(process.cpuUsage(before).user < 5_000_000, expression);
  }
});

test('the sample can be read, and does what its comments describe', (t) => {
  const bytes = Buffer.from(SAMPLE_FILTER);
  const rules = new FilterRules(parseFilterFile({ path: 'filter.example', bytes }));
  const isKept = (name: string, isDirectory = false): boolean =>
    rules.find('/home/me', name, isDirectory)?.isAccepting === true;
  t.true(isKept('a.c') && isKept('target') && isKept('targets', true) && isKept('.cached', true));
  t.false(isKept('a.o') || isKept('a~') || isKept('target', true) || isKept('.cache', true));
});

const CRYPT = fileOf(
  '# what may be seen',
  '#pictures,none',
  'path reject /home/[^/]+/private/',
  'file accept .*\\.jpg$',
  '##',
  ' #old-machine , CHACHA ',
  'path accept /srv/pi/',
  'any accept .*\\.jpg$',
);

test('the first tag whose rules accept a file chooses', (t) => {
  const filter = new CryptFilter({ file: CRYPT, otherwise: 'auto' });
  const choice = (directory: string, name: string): string => {
    const { algorithm, tag = '-', rule } = filter.choose(directory, name);
    return `${algorithm} ${tag} ${rule?.line ?? '-'}`;
  };
  t.is(choice('/home/me', 'a.jpg'), 'none pictures 4');
  t.is(choice('/home/me/private', 'a.jpg'), 'chacha old-machine 8', 'refused by the first tag');
  t.is(choice('/srv/pi', 'x'), 'chacha old-machine 7');
  t.is(choice('/srv', 'x'), 'auto - -');
  const bytes = Buffer.from('/srv');
  t.is(filter.scheme(bytes, Buffer.from('x')), undefined);
  t.is(filter.scheme(bytes, Buffer.from('x.jpg')), Scheme.readable);
  const plain = new CryptFilter({ file: undefined, otherwise: 'none' });
  t.is(plain.scheme(bytes, Buffer.from('x')), Scheme.readable);
});

test('what is wrong with tags is reported with its line', (t) => {
  const report = (...lines: string[]): string => printed(() => parseCryptFile(fileOf(...lines)));
  const rule = 'any accept x';
  t.regex(report(rule, '#a,aes'), /filter:1: a rule must follow the line of its tag/);
  t.regex(
    report('#a,aes', rule, '#b,rot13', rule),
    /filter:3: "rot13" is not one of the algorithms aes/,
  );
  t.regex(report('#a'), /filter:1: "" is not one of the algorithms/);
  t.regex(report('#a b,aes', rule), /filter:1: "a b" is not a valid tag name/);
  t.regex(report('#,aes', rule), /filter:1: "" is not a valid tag name/);
  t.regex(report('#a,aes,pass:secret,0.5', rule), /filter:1: aes has no option "pass:secret,0.5"/);
  t.regex(report('#a,aes,', rule), /filter:1: aes has no option ""/);
  t.regex(report('#a,aes', rule, '#a,none', rule), /filter:3: duplicate tag a/);
  t.regex(report('#a,aes', '#b,none', rule), /filter:1: the tag a has no rules/);
  t.regex(report('#a,aes', rule, 'dir accept x'), /filter:3: a directory has no content/);
  t.regex(report('#a,aes', 'file accept ('), /filter:2: "\(": missing closing \)/);
  const tags = Array.from({ length: MAX_TAGS + 1 }, (_, index) => [`#t${index},aes`, rule]).flat();
  t.regex(report(...tags), /filter:129: more than 64 tags/);
});
