/** Filter files with regular expressions, and the tags that choose an algorithm. */
import {
  CryptFilter,
  FilterRules,
  parseCryptFile,
  parseFilterFile,
} from '../../../src/excludes/index.js';
import { attempt, magnitude, must, type Target } from '../engine/target.js';

const CODES = ['CONFIG_INVALID'] as const;
const PLACE = '/etc/filter';

/** Takes everything up to a NUL as the file, and everything after it as a path. */
function split(data: Buffer): { bytes: Buffer; directory: string; name: string } {
  const at = data.indexOf(0);
  const [bytes, path] = at < 0 ? [data, data] : [data.subarray(0, at), data.subarray(at + 1)];
  const text = path.toString('latin1');
  const slash = text.lastIndexOf('/');
  return { bytes, directory: text.slice(0, slash) || '/', name: text.slice(slash + 1) };
}

function filter(data: Buffer): string {
  const { bytes, directory, name } = split(data);
  const lines = parseFilterFile({ path: PLACE, bytes });
  const rules = new FilterRules(lines);
  const matching = rules.matching(directory, name, false);
  must(
    matching.every((number) => number < lines.length),
    'a line matches that is not there',
  );
  must(
    matching.join() === rules.matching(directory, name, false).join(),
    'the second answer is another one',
  );
  return `${magnitude(lines.length)} ${magnitude(matching.length)}`;
}

function crypt(data: Buffer): string {
  const { bytes, directory, name } = split(data);
  const file = { path: PLACE, bytes };
  const tags = parseCryptFile(file);
  const { algorithm } = new CryptFilter({ file, otherwise: 'aes' }).choose(directory, name);
  return `${magnitude(tags.length)} ${algorithm}`;
}

export const target: Target = {
  about: 'filter files: refused with file and line, or asked for a path in linear time',
  seeds: () =>
    [
      'dir reject ^test$\nfile accept .*\\.c$\npath reject /home/[^/]+/tmp\nany accept [a-m]\n\0/home/me/a.c',
      '# comment\nfile accept f\\xff[\\x80-\\xff]{2}\n\0/f\xff\x80\x80',
      '#secret,chacha\nfile accept .*\\.key$\n#rest,aes\nany accept .*\n\0/a/b.key',
      'any accept (a|aa)+$\n\0/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab',
      'any accept (?i:x{1,20}){1,20}\\bq*?\n\0/xxxx',
    ].map((text) => Buffer.from(text, 'latin1')),
  fuzz: (data) => [filter, crypt].map((read) => attempt(CODES, () => read(data))).join(' / '),
  tokens: [
    'accept ',
    'reject ',
    'any ',
    '\npath ',
    '{1,1000}',
    '(?:',
    '\\p{',
    '[^',
    '|',
    '\\x',
    '\0',
  ],
  maxBytes: 4 << 10,
};
