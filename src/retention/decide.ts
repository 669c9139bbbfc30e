/**
 * Which sets are kept, and why; a pure decision. Sets of different roots are judged apart: what one job backs up says
 * nothing about another's. Of several complete sets in one period the oldest is kept, so that whoever makes many
 * evicts none. Unfinished sets are nobody's to purge: they leave by themselves.
 */
import { isSealedTag } from '../model/index.js';
import { hasRules, PERIOD_RULES, type PeriodName, periodOf, type RetentionRules } from './rules.js';
import { countedTimes, nowAfter, type Stretch, stretchesOf, type TimedSet } from './time-line.js';

export interface RetentionSet extends TimedSet {
  readonly isComplete: boolean;
  /** A rebuild has found that it may lack something. */
  readonly isDoubtful: boolean;
  readonly priority: number;
  readonly isLocked: boolean;
  readonly tags: readonly string[];
  /** Equal texts: the same roots. */
  readonly roots: string;
}

export interface RetentionWish {
  readonly rules: RetentionRules;
  readonly nowMs: number;
  /** Younger sets stay, whatever the rules say; 0: there is no such age. */
  readonly leastAgeMs: number;
  /** Of the newest sets `keepLast` counts one a day only: a flood of sets evicts none. */
  readonly lastCountsDays: boolean;
  /** Sets that may lack something since a rebuild stay: an operator is to look at them. */
  readonly keepsDoubtful: boolean;
  /** Go on though the clock is in doubt. */
  readonly trustsClock: boolean;
  /** Only sets begun before a moment, and of this priority at most, may go. */
  readonly only?: { readonly beforeMs: number; readonly priority: number } | undefined;
}

export type KeepReason =
  | 'locked'
  | 'newest'
  | 'unfinished'
  | 'young'
  | 'last'
  | 'within'
  | 'tag'
  | 'priority'
  | 'clock'
  | 'damaged'
  | 'not meant'
  | 'no rule'
  | PeriodName;

export interface Reason {
  readonly why: KeepReason;
  /** The period, the tag, the days. */
  readonly what?: string;
}

const REASONS: ReadonlySet<unknown> = new Set<KeepReason>([
  ...(['locked', 'newest', 'unfinished', 'young', 'last', 'within', 'tag'] as const),
  ...(['priority', 'clock', 'damaged', 'not meant', 'no rule'] as const),
  ...(Object.keys(PERIOD_RULES) as PeriodName[]),
]);

/** Whether something of unknown origin is a reason. */
export function isReason(value: unknown): value is Reason {
  if (typeof value !== 'object' || value === null) return false;
  const { why, what } = value as Partial<Reason>;
  return REASONS.has(why) && (what === undefined || typeof what === 'string');
}

export interface Verdict {
  readonly set: number;
  /** Empty: it goes. */
  readonly reasons: readonly Reason[];
}

export interface Decision {
  /** In the order of the sets' numbers. */
  readonly verdicts: readonly Verdict[];
  /** Nothing goes, unless that is wanted all the same. */
  readonly isClockInDoubt: boolean;
}

const DAY_MS = 86_400_000;

/** Sets are given in the order of their numbers. */
export function decideRetention(sets: readonly RetentionSet[], wish: RetentionWish): Decision {
  const complete = sets.filter(({ isComplete }) => isComplete);
  const now =
    complete.length === 0
      ? { countedMs: wish.nowMs, isInDoubt: false }
      : nowAfter(complete, wish.nowMs);
  const counted = countedTimes(sets);
  const ages = new Map(sets.map(({ set }, index) => [set, now.countedMs - counted[index]!]));
  const reasons = new Map<number, Reason[]>(sets.map(({ set }) => [set, []]));
  const keep = (set: number, why: KeepReason, what?: string): void => {
    reasons.get(set)!.push(what === undefined ? { why } : { why, what });
  };
  const counts = hasRules(wish.rules) || wish.only !== undefined;
  for (const [index, set] of sets.entries()) {
    const times = { ageMs: ages.get(set.set)!, countedMs: counted[index]! };
    keepAlways(set, times, wish, counts, keep);
  }
  for (const group of groupedBy(complete, ({ roots }) => roots).values()) {
    keep(group.at(-1)!.set, 'newest');
    for (const set of group) keepByItself(set, ages.get(set.set)!, wish.rules, keep);
    const stretches = stretchesOf(group);
    keepLast(group, wish, keep);
    for (const name of Object.keys(PERIOD_RULES) as PeriodName[]) {
      keepPeriods(stretches, name, wish.rules[PERIOD_RULES[name]], keep);
    }
  }
  if (now.isInDoubt && !wish.trustsClock) {
    for (const { set } of sets) if (reasons.get(set)!.length === 0) keep(set, 'clock');
  }
  const verdicts = sets.map(({ set }) => ({ set, reasons: reasons.get(set)! }));
  return { verdicts, isClockInDoubt: now.isInDoubt };
}

type Keep = (set: number, why: KeepReason, what?: string) => void;

function keepAlways(
  { set, isLocked, isComplete, isDoubtful, openedAtMs, priority }: RetentionSet,
  { ageMs, countedMs }: { readonly ageMs: number; readonly countedMs: number },
  { leastAgeMs, only, keepsDoubtful }: RetentionWish,
  hasAnyRule: boolean,
  keep: Keep,
): void {
  if (isLocked) keep(set, 'locked');
  if (!isComplete) keep(set, 'unfinished');
  if (isDoubtful && keepsDoubtful) keep(set, 'damaged');
  if (ageMs < leastAgeMs) keep(set, 'young');
  if (!hasAnyRule) keep(set, 'no rule');
  if (only === undefined) return;
  if (Math.max(openedAtMs, countedMs) >= only.beforeMs || priority > only.priority)
    keep(set, 'not meant');
}

function keepByItself(
  { set, tags, priority, stamp }: RetentionSet,
  ageMs: number,
  { keepTags, keepWithinMs, periods, isUsual }: RetentionRules,
  keep: Keep,
): void {
  if (hasKeptTag(tags, keepTags)) keep(set, 'tag');
  if (ageMs < keepWithinMs) keep(set, 'within');
  const byRank = [...periods].sort((one, other) => one.priority - other.priority);
  const period = byRank.findLast((one) => one.priority <= priority) ?? byRank[0];
  if (period === undefined) return;
  if (isUsual === true && stamp === undefined) keep(set, 'priority', 'of an earlier release');
  if (period.days === 0) keep(set, 'priority', 'for ever');
  else if (ageMs < period.days * DAY_MS) keep(set, 'priority', `${period.days} days`);
}

/** A tag that is sealed, where those to keep are not, may be any of them. */
function hasKeptTag(tags: readonly string[], keepTags: readonly string[]): boolean {
  if (keepTags.some((wanted) => tags.includes(wanted))) return true;
  return keepTags.some((wanted) => !isSealedTag(wanted)) && tags.some(isSealedTag);
}

function keepLast(
  complete: readonly RetentionSet[],
  { rules, lastCountsDays }: RetentionWish,
  keep: Keep,
): void {
  let counted = 0;
  let day: string | undefined;
  for (const { set, openedAtMs } of complete.toReversed()) {
    const itsDay = lastCountsDays ? periodOf('day', openedAtMs) : undefined;
    if (itsDay === undefined || itsDay !== day) counted += 1;
    if (counted > rules.keepLast) return;
    day = itsDay;
    keep(set, 'last');
  }
}

/**
 * The oldest set of each of the newest `count` periods. Of a stretch whose times nobody can vouch for all sets are kept
 * and none is counted; the first period of a stretch behind a break may be the last one before it, so it does
 * not count either.
 */
function keepPeriods(
  stretches: readonly Stretch<RetentionSet>[],
  name: PeriodName,
  count: number,
  keep: Keep,
): void {
  let left = count;
  for (const [index, { sets, isTrusted }] of [...stretches.entries()].toReversed()) {
    if (left === 0) return;
    if (!isTrusted) {
      for (const { set } of sets) keep(set, name, 'of a time in doubt');
      continue;
    }
    const periods = [...groupedBy(sets, ({ openedAtMs }) => periodOf(name, openedAtMs))];
    for (const [at, [period, [oldest]]] of [...periods.entries()].toReversed()) {
      if (left === 0) return;
      keep(oldest!.set, name, period);
      if (at > 0 || index === 0) left -= 1;
    }
  }
}

/** In the order in which the groups appear. */
function groupedBy<S>(items: readonly S[], keyOf: (item: S) => string): Map<string, S[]> {
  const groups = new Map<string, S[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}
