/** Describes decisions in words. */
import { displayName } from '../model/index.js';
import type { DecidingLine, Decision, Reason } from './excluder.js';

const WORDS: Readonly<Record<Exclude<Reason, 'rule' | 'filter'>, string>> = Object.freeze({
  notAccepted: 'no line of the filter file accepts it',
  skipFile: 'its directory contains a skip file',
  cacheTag: 'its directory is marked as a cache by CACHEDIR.TAG',
  excludeDirectory: 'it is named by --exclude-dir, or each backup writes to it',
  size: 'it is larger than --max-file-size',
  noDump: 'it has the attribute "no dump"',
  noAccess: 'this user may not read it',
});

/** Returns the reason why an entry is excluded or kept; a rule is described as `file:line: pattern`. */
export function describeDecision({ reason, rule }: Decision): string {
  return reason === 'rule' || reason === 'filter' ? describeRule(rule!) : WORDS[reason];
}

/** Returns the place of a rule and its text. */
export function describeRule({ origin, line, text }: DecidingLine): string {
  const pattern = displayName(Buffer.from(text, 'latin1'));
  if (origin.kind !== 'file') return `${origin.name}: ${pattern}`;
  return `${displayName(Buffer.from(origin.name, 'latin1'))}:${line}: ${pattern}`;
}
