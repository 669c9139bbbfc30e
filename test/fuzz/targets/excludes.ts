/** Exclude rules as git reads them, matched against names. */
import { compileGlob, parseRules, RuleList } from '../../../src/excludes/index.js';
import { attempt, magnitude, must, type Target } from '../engine/target.js';

const ORIGIN = { kind: 'file', path: '/base/.tardis-excludes' } as never;
const SPLIT = 0;

/** Takes everything up to a NUL as rules, and everything after it as a path. */
function read(data: Buffer): string {
  const at = data.indexOf(SPLIT);
  const [rules, path] = at < 0 ? [data, data] : [data.subarray(0, at), data.subarray(at + 1)];
  const parsed = parseRules(rules, ORIGIN, data.length % 2 === 0 ? 'directory' : 'anywhere');
  const list = new RuleList(parsed);
  const text = path.toString('latin1');
  const slash = text.lastIndexOf('/') + 1;
  const [beneath, name] = [text.slice(0, slash), text.slice(slash)];
  const found = list.find(name, beneath, data.length % 3 === 0);
  const last = parsed.findLast(
    (rule) => (!rule.isForDirectories || data.length % 3 === 0) && matches(rule, name, beneath),
  );
  must(found === last, 'a list finds another rule than the last one that matches');
  const whole = compileGlob(rules.toString('latin1'));
  return `${magnitude(parsed.length)} ${found?.isKeeping} ${whole.matches(text)}`;
}

function matches(
  rule: ReturnType<typeof parseRules>[number],
  name: string,
  beneath: string,
): boolean {
  return rule.glob.matches(rule.isForNames ? name : `${beneath}${name}`);
}

export const target: Target = {
  about: 'exclude rules and globs: any bytes are rules, and no pattern takes long',
  seeds: () =>
    [
      '*.o\n!keep.o\n/build/\n**/x/*.c\n# comment\n\0build/x/a.c',
      'a[!b-d]?\\*\nfoo/**/bar\n**\0foo/x/y/bar',
      '[[:alpha:]]*[^[:digit:]]\n\0a9/b',
      '*a*a*a*a*b\0aaaaaaaaaaaaaaaaaaaaaaaaaaaa',
      '\ufeffx  \r\ny\\ \n\0y ',
    ].map((text) => Buffer.from(text)),
  fuzz: (data) => attempt([], () => read(data)),
  tokens: ['**/', '/**', '[!', '[:alpha:]', '\\', '*', '?', '!', '\n', '\0', '[a-', ']'],
  maxBytes: 2 << 10,
};
