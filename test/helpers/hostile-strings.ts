/**
 * File names as an attacker would choose them: more than five hundred, some written by hand, the others combined
 * from parts. They are bytes, since not all are UTF-8.
 */
import path from 'node:path';
import { crc32 } from 'node:zlib';
import type { ExecutionContext } from 'ava';
import { TardisError } from '../../src/errors/index.js';
import { seededRandom } from '../support/seeded-random.js';
import type { Sandbox } from './guarded.js';
import { seed } from './seed.js';
import { partOf, sweepShare } from './share.js';

const KIB = 1 << 10;
const MANY = 8;

const UP = [
  '..',
  '../',
  '..\\',
  '..//',
  './../',
  '.../',
  '..;/',
  '..\0/',
  '..%2f',
  '%2e%2e/',
  '%2e%2e%2f',
  '%252e%252e%252f',
  '..%c0%af',
  '..%5c',
  '..\u2215',
  '\uff0e\uff0e\uff0f',
  '..\xa0/',
];
const AIMS = ['canary', 'outside/canary', 'etc/passwd', 'tardis.db', 'me/format.json'];

/** Names that have a meaning to the store, the system or another program. */
const KNOWN = [
  'me',
  'other',
  'tardis.db',
  'tardis.db-wal',
  'tardis.db-shm',
  'tardis.db.new',
  'format.json',
  'format.json.new',
  'lock',
  'keys',
  'packs',
  'incoming',
  '00',
  'ff',
  '.login',
  '00000001.key',
  'keys/00000001.key',
  'incoming/1',
  '00/00',
  '.tardis-restore',
  '.git',
  'CON',
  'PRN',
  'AUX',
  'NUL',
  'COM1',
  'LPT9',
  'con.txt',
  'nul.',
  'aux ',
  'C:',
  'C:\\x',
  'a:b',
  '\\\\host\\share',
  '\\\\?\\C:\\x',
  '//host/share',
  'file:///etc/passwd',
  'http://[::1]/',
  '~',
  '~root',
  '/proc/self/environ',
  '/proc/self/fd/1',
  '/dev/null',
  '/dev/stdin',
  '/',
  '//',
  '///etc/passwd',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'prototype',
  'null',
  'undefined',
  'NaN',
  'true',
  '0',
  '-1',
  '1',
  '007',
  '1e309',
  '0x10',
  '18446744073709551616',
  'Infinity',
];
const OPTIONS = [
  '-',
  '--',
  '-C',
  '--help',
  '--version',
  '--keys=/etc/passwd',
  '-rf',
  '--local',
  '@/etc/passwd',
  '-o/tmp/x',
  '--overwrite=always',
  '-b1',
  '+x',
  '=x',
  '--json',
  '-D/',
  '--no-crypt',
];
const SHELL = [
  '`id`',
  '$(id)',
  '${HOME}',
  '$HOME',
  '; id',
  '| id',
  '& id',
  '&& id',
  '> canary',
  '< canary',
  '$((1+1))',
  '!!',
  '*',
  '?',
  '[a-z]',
  '{a,b}',
  '"',
  "'",
  '\\',
  '\\n',
  '#',
  '!',
  ' ',
  '  ',
  '%',
  '^',
  "'; rm -rf canary; '",
  '"; rm -rf canary; "',
  '|| touch canary',
  '\ntouch canary\n',
  '$IFS$9',
];
const FORMATS = [
  '%s',
  '%n',
  '%x%x%x',
  '%99999999s',
  '{0}',
  '{{7*7}}',
  '${7*7}',
  '<%= 7 %>',
  '%d%s%p',
];
const SQL = [
  "' OR 1=1 --",
  "'; DROP TABLE entries; --",
  '" OR ""="',
  "x' UNION SELECT 1,2,3 --",
  '1; VACUUM',
  "'||(SELECT 1)||'",
  '/**/',
  'x" --',
  "\\'; --",
  "'; ATTACH 'canary' AS x; --",
];
const TERMINAL = [
  '\x1b[2J',
  '\x1b[31mred',
  '\x1b]0;title\x07',
  '\x1b]52;c;eA==\x07',
  '\x9b2J',
  '\r',
  '\n',
  '\t',
  '\b',
  '\x07',
  '\x7f',
  'a\rb',
  'a\nb',
  'a\x0bb',
  '\x1bP',
  '\x1b[6n',
  '\x85',
  '\x0e',
  'a\r\nb',
  '\x1bc',
];
const UNICODE = [
  '\u202egpj.exe',
  '\u2066x\u2069',
  '\u200b',
  '\ufeff',
  '\u00ad',
  'e\u0301',
  '\u00e9',
  '\u212a',
  '\u0130',
  '\u2028',
  '\u2029',
  '\ud83d\ude00',
  '\u{10ffff}',
  '\ufffd',
  '\u0000',
  '\u180e',
  '\u3000',
  '\u037e',
  'a'.concat('\u0301'.repeat(50)),
  '\uff0f',
  '\u2044',
  '\u29f8',
  '\u2024\u2024',
  '\ufdfa',
  '\u1e9e',
];
const BYTES: readonly number[][] = [
  [0xff],
  [0xc0, 0xaf],
  [0xc0, 0xae, 0xc0, 0xae],
  [0xe0, 0x80, 0xaf],
  [0xed, 0xa0, 0x80],
  [0xf4, 0x90, 0x80, 0x80],
  [0xc3],
  [0x80],
  [0x61, 0xfe, 0x62],
  [0xf8, 0x88, 0x80, 0x80, 0xaf],
  [0x2e, 0xff],
  [0xff, 0x2f, 0x2e, 0x2e],
  [0x01, 0x01],
  [0x01, 0x02],
  [0x2e, 0x01],
  [0x2f, 0x02],
  [0x01],
];

const DOTS = ['', '.', '..', '...', ' .', '. ', '..\n', '.\0'];
const CONTROLS = Array.from({ length: 32 }, (_, control) => `a${String.fromCharCode(control)}b`);
const LENGTHS = [127, 128, 129, 143, 144, 255, 256, 1023, 4095, 4096, 4097].flatMap(ofLength);
const TOO_LONG = ofLength(5 * KIB);
/** The name of the only object that a small store has. */
const PACK = 'packs/00000001.pack';

function ofLength(bytes: number): string[] {
  return ['a'.repeat(bytes), '../'.repeat(Math.ceil(bytes / 3)).slice(0, bytes)];
}

interface WrittenName {
  readonly bytes: Buffer;
  readonly kind: string;
}

/** Returns the names written by hand, with controls and lengths, and paths from `sandbox` to a file in it. */
function written(sandbox: string): WrittenName[] {
  const paths = [
    path.join(sandbox, 'canary'),
    path.join(sandbox, 'outside', 'canary'),
    `${sandbox}/in/../canary`,
    `${sandbox}/in/store/../../canary\0`,
  ];
  const kinds: Readonly<Record<string, readonly (string | readonly number[])[]>> = {
    dots: DOTS,
    pack: [PACK],
    known: KNOWN,
    options: OPTIONS,
    shell: SHELL,
    formats: FORMATS,
    sql: SQL,
    terminal: TERMINAL,
    unicode: UNICODE,
    paths,
    controls: CONTROLS,
    lengths: LENGTHS,
    tooLong: TOO_LONG,
    bytes: BYTES,
  };
  return Object.entries(kinds).flatMap(([kind, names]) =>
    names.map((name) => ({ bytes: bytesOf(name), kind })),
  );
}

function bytesOf(name: string | readonly number[]): Buffer {
  return typeof name === 'string' ? Buffer.from(name) : Buffer.from(name);
}

/** Returns the names that are combined from parts. */
function combined(): Buffer[] {
  const texts: string[] = [];
  for (const up of UP) {
    for (const aim of AIMS) {
      for (const times of [1, 2, MANY]) texts.push(`${up.repeat(times)}${aim}`);
    }
    texts.push(`x/${up}`, `/${up}`, `${up}\0.txt`);
  }
  for (const text of [...KNOWN.slice(0, 20), ...SHELL.slice(0, 8), ...TERMINAL.slice(0, 8)]) {
    texts.push(`../${text}`, `${text}\0`, `x${text}`);
  }
  return texts.map((text) => Buffer.from(text));
}

function withoutRepeats(all: readonly Buffer[]): Buffer[] {
  return [...new Map(all.map((bytes) => [bytes.toString('latin1'), bytes])).values()];
}

/** Returns all names, including paths from `sandbox` to a file in it that nothing may modify. */
export function hostileStrings(sandbox: string): Buffer[] {
  return withoutRepeats([...written(sandbox).map(({ bytes }) => bytes), ...combined()]);
}

/** True if file systems accept this name. */
export function isFileName(name: Buffer): boolean {
  const isDots = ['', '.', '..'].includes(name.toString('latin1'));
  return !isDots && name.length <= 255 && !name.includes(0) && !name.includes(0x2f);
}

const ENOUGH = 500;
/** The shares of the names of which each costs a session: a few are of each kind that is written by hand. */
const WRITTEN_SHARE = Math.min(1, 5 * sweepShare);
const COMBINED_SHARE = Math.min(1, 2 * sweepShare);

/** Matches characters that a terminal interprets. */
// eslint-disable-next-line no-control-regex
export const CONTROL: RegExp = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/;

/** Returns all names for a sandbox, and checks their number. */
export function strings(t: ExecutionContext, { top }: Sandbox): Buffer[] {
  const all = hostileStrings(top);
  t.true(all.length >= ENOUGH, `${all.length} strings`);
  return all;
}

/**
 * Returns the names for a test in which each one costs a session: some of each kind that is written by hand, and of
 * the combined ones, which differ little, fewer. TEST_SEED chooses other ones for each `what`.
 */
export function someStrings(t: ExecutionContext, { top }: Sandbox, what = t.title): Buffer[] {
  const random = seededRandom(seed + crc32(what));
  const byHand = partOf(written(top), WRITTEN_SHARE, random, ({ kind }) => [kind]);
  const others = partOf(combined(), COMBINED_SHARE, random);
  t.log(`seed ${seed}: ${byHand.length} names by hand, ${others.length} combined ones`);
  return withoutRepeats([...byHand.map(({ bytes }) => bytes), ...others]);
}

/** Returns the code of an error meant for users or peers; any other error fails the test. */
export function reportedCode(t: ExecutionContext, error: unknown, what: Buffer): string {
  if (error instanceof TardisError && error.code !== 'INTERNAL') return error.code;
  const shown = JSON.stringify(what.toString('latin1').slice(0, 80));
  t.fail(`${shown}: ${(error as Error).stack ?? String(error)}`);
  return 'INTERNAL';
}

/** Returns the code of the error that `work` throws; '' if it succeeds. */
export async function tried(
  t: ExecutionContext,
  what: Buffer,
  work: () => unknown,
): Promise<string> {
  try {
    await work();
    return '';
  } catch (error) {
    return reportedCode(t, error, what);
  }
}

/** Counts the occurrences of each code, or '' for none. */
export class Tally {
  readonly counts = new Map<string, number>();

  add(code = ''): void {
    this.counts.set(code, (this.counts.get(code) ?? 0) + 1);
  }

  of(code: string): number {
    return this.counts.get(code) ?? 0;
  }

  /** The codes that occurred, sorted. */
  get codes(): string[] {
    return [...this.counts.keys()].filter((code) => code !== '').sort();
  }
}
