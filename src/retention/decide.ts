/**
 * Decides which sets are kept, and why. Sets of different series, that is with other roots or from another machine,
 * are judged separately: the sets of one job have no influence on those of another. With a rule
 * for the end of a series, those that have ended count as one. The newest of several complete sets in a period is kept. If sets may be from an
 * account that must not delete any, the oldest is kept, so that a flood of sets evicts none. Unfinished sets are never
 * purged: a set with the same roots supersedes them when it completes.
 */
import { DAY_MS, isSealedTag, type SetNumber } from '../model/index.js';
import { hasRules, PERIOD_RULES, type PeriodName, periodOf, type RetentionRules } from './rules.js';
import { type CountedSet, countedTimes, nowAfter, type Stretch, stretchesOf } from './set-ages.js';

export interface RetentionSet extends CountedSet {
  readonly isComplete: boolean;
  /** True if a rebuild has found that the set may lack entries. */
  readonly isDoubtful: boolean;
  readonly priority: number;
  readonly isLocked: boolean;
  readonly tags: readonly string[];
  /** Identifies the series: equal texts mean equal roots and the same machine. */
  readonly series: string;
}

export interface RetentionOptions {
  readonly rules: RetentionRules;
  readonly nowMs: number;
  /** Minimum age of a set that may be deleted, regardless of the rules; 0 means none. */
  readonly leastAgeMs: number;
  /**
   * True if sets may be from an account without the right to purge. The oldest set of each period is then
   * kept, and `keepLast` counts one set per day, so that a flood of sets evicts none. If false, the newest is
   * kept, and each set counts.
   */
  readonly resistsFloods: boolean;
  /** True to keep sets that may lack something since a rebuild, so that an operator can examine them. */
  readonly keepsDoubtful: boolean;
  /** True to delete sets even if the clock is in doubt. */
  readonly trustsClock: boolean;
  /** Limits deletion to sets that began before this time and have at most this priority. */
  readonly only?: { readonly beforeMs: number; readonly priority: number } | undefined;
  /** Limits deletion to these sets, which a preview has shown; undefined for no such limit. */
  readonly previewed?: ReadonlySet<SetNumber> | undefined;
}

type KeepReason =
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
  /**
   * The period or `of a time in doubt` for a rule of periods; the time (`180 days`, `for ever`) for a priority; the series
   * for the newest set.
   */
  readonly what?: string;
  /** Position of the set within its period. */
  readonly which?: 'newest' | 'oldest';
}

const REASONS: ReadonlySet<unknown> = new Set<KeepReason>([
  ...(['locked', 'newest', 'unfinished', 'young', 'last', 'within', 'tag'] as const),
  ...(['priority', 'clock', 'damaged', 'not meant', 'no rule'] as const),
  ...(Object.keys(PERIOD_RULES) as PeriodName[]),
]);

/** True if a value of unknown origin is a valid reason. */
export function isReason(value: unknown): value is Reason {
  if (typeof value !== 'object' || value === null) return false;
  const { why, what, which } = value as Partial<Reason>;
  const isWhich: unknown[] = [undefined, 'newest', 'oldest'];
  return (
    REASONS.has(why) && (what === undefined || typeof what === 'string') && isWhich.includes(which)
  );
}

export interface Verdict {
  readonly set: SetNumber;
  /** Reasons to keep the set; if empty, it is deleted. */
  readonly reasons: readonly Reason[];
}

export interface Decision {
  /** Verdicts in the order of the sets' numbers. */
  readonly verdicts: readonly Verdict[];
  /** True if the clock is in doubt; nothing is then deleted unless `trustsClock` is set. */
  readonly isClockInDoubt: boolean;
  /** Tags in the rules that no set has. */
  readonly unusedTags: readonly string[];
}

/** Decides which of the sets are kept. The sets are given in the order of their numbers. */
export function decideRetention(
  sets: readonly RetentionSet[],
  options: RetentionOptions,
): Decision {
  const complete = sets.filter(({ isComplete }) => isComplete);
  const now =
    complete.length === 0
      ? { countedMs: options.nowMs, isInDoubt: false }
      : nowAfter(complete, options.nowMs);
  const counted = countedTimes(sets);
  const ages: Ages = new Map(sets.map(({ set }, index) => [set, now.countedMs - counted[index]!]));
  const reasons = new Map<SetNumber, Reason[]>(sets.map(({ set }) => [set, []]));
  const keep: Keep = (set, why, what, which) => {
    const reason = what === undefined ? { why } : { why, what };
    reasons.get(set)!.push(which === undefined ? reason : { ...reason, which });
  };
  const counts = hasRules(options.rules) || options.only !== undefined;
  for (const [index, set] of sets.entries()) {
    const times = { ageMs: ages.get(set.set)!, countedMs: counted[index]! };
    keepAlways({ ...set, ...times }, options, counts, keep);
  }
  for (const { group, what } of seriesOf(complete, ages, options.rules.endedAfterMs)) {
    keep(group.at(-1)!.set, 'newest', what);
    for (const set of group) keepByItself(set, ages.get(set.set)!, options.rules, keep);
    const stretches = stretchesOf(group);
    keepLast(group, options, keep);
    for (const name of Object.keys(PERIOD_RULES) as PeriodName[]) {
      keepPeriods(stretches, name, options, keep);
    }
  }
  if (now.isInDoubt && !options.trustsClock) {
    for (const { set } of sets) if (reasons.get(set)!.length === 0) keep(set, 'clock');
  }
  const verdicts = sets.map(({ set }) => ({ set, reasons: reasons.get(set)! }));
  const unusedTags = options.rules.keepTags.filter(
    (tag) => !sets.some(({ tags }) => hasKeptTag(tags, [tag])),
  );
  return { verdicts, isClockInDoubt: now.isInDoubt, unusedTags };
}

/** The counted age of each set in milliseconds. */
type Ages = ReadonlyMap<SetNumber, number>;

interface Series {
  /** Complete sets, in the order of their numbers. */
  readonly group: readonly RetentionSet[];
  readonly what: string;
}

/**
 * Returns the series of complete sets. A series has ended if its newest set is older than the newest of all sets by
 * `endedAfterMs` (0: never); those that have ended are one series. Ages are compared with the newest set and not with
 * the present, so nothing ends while no backup is made.
 */
function seriesOf(complete: readonly RetentionSet[], ages: Ages, endedAfterMs: number): Series[] {
  const newestMs = Math.min(...ages.values());
  const isOver = (group: readonly RetentionSet[]): boolean =>
    endedAfterMs > 0 && ages.get(group.at(-1)!.set)! - newestMs >= endedAfterMs;
  const groups = [...Map.groupBy(complete, ({ series }) => series).values()];
  const over = new Set(groups.filter(isOver).flat());
  const lasting = groups.filter((group) => !isOver(group));
  const ended = complete.filter((set) => over.has(set));
  return [
    ...lasting.map((group) => ({ group, what: 'of its roots and machine' })),
    ...(ended.length === 0 ? [] : [{ group: ended, what: 'of the series that have ended' }]),
  ];
}

type Keep = (set: SetNumber, why: KeepReason, what?: string, which?: Reason['which']) => void;

function keepAlways(
  {
    set,
    isLocked,
    isComplete,
    isDoubtful,
    openedAtMs,
    priority,
    ageMs,
    countedMs,
  }: RetentionSet & { readonly ageMs: number; readonly countedMs: number },
  { leastAgeMs, only, previewed, keepsDoubtful }: RetentionOptions,
  hasAnyRule: boolean,
  keep: Keep,
): void {
  if (isLocked) keep(set, 'locked');
  if (!isComplete) keep(set, 'unfinished');
  if (isDoubtful && keepsDoubtful) keep(set, 'damaged');
  if (ageMs < leastAgeMs) keep(set, 'young');
  if (!hasAnyRule) keep(set, 'no rule');
  if (previewed?.has(set) === false) keep(set, 'not meant');
  if (only === undefined) return;
  if (Math.max(openedAtMs, countedMs) >= only.beforeMs || priority > only.priority)
    keep(set, 'not meant');
}

function keepByItself(
  { set, tags, priority }: RetentionSet,
  ageMs: number,
  { keepTags, keepWithinMs, periods }: RetentionRules,
  keep: Keep,
): void {
  if (hasKeptTag(tags, keepTags)) keep(set, 'tag');
  if (ageMs < keepWithinMs) keep(set, 'within');
  const byRank = [...periods].sort((one, other) => one.priority - other.priority);
  const period = byRank.findLast((one) => one.priority <= priority) ?? byRank[0];
  if (period === undefined) return;
  if (period.days === 0) keep(set, 'priority', 'for ever');
  else if (ageMs < period.days * DAY_MS) keep(set, 'priority', `${period.days} days`);
}

/**
 * True if the set has a tag to keep. If any tag to keep is plain, every sealed tag counts as one, since a sealed tag
 * cannot be compared with a plain tag.
 */
function hasKeptTag(tags: readonly string[], keepTags: readonly string[]): boolean {
  if (keepTags.some((wanted) => tags.includes(wanted))) return true;
  return keepTags.some((wanted) => !isSealedTag(wanted)) && tags.some(isSealedTag);
}

function keepLast(
  complete: readonly RetentionSet[],
  { rules, resistsFloods }: RetentionOptions,
  keep: Keep,
): void {
  let counted = 0;
  let day: string | undefined;
  for (const { set, openedAtMs } of complete.toReversed()) {
    const itsDay = resistsFloods ? periodOf('day', openedAtMs) : undefined;
    if (itsDay === undefined || itsDay !== day) counted += 1;
    if (counted > rules.keepLast) return;
    day = itsDay;
    keep(set, 'last');
  }
}

/**
 * Keeps the newest (or oldest) set of each of the newest periods, up to the number in the rule. All sets of an
 * untrusted stretch are kept, and none is counted. The first period of a stretch after a break may be equal to the last
 * period before the break, so this first period is not counted either.
 */
function keepPeriods(
  stretches: readonly Stretch<RetentionSet>[],
  name: PeriodName,
  { rules, resistsFloods }: RetentionOptions,
  keep: Keep,
): void {
  let left = rules[PERIOD_RULES[name]];
  const which = resistsFloods ? 'oldest' : 'newest';
  for (const [index, { sets, isTrusted }] of [...stretches.entries()].toReversed()) {
    if (left === 0) return;
    if (!isTrusted) {
      for (const { set } of sets) keep(set, name, 'of a time in doubt');
      continue;
    }
    const periods = [...Map.groupBy(sets, ({ openedAtMs }) => periodOf(name, openedAtMs))];
    for (const [at, [period, itsSets]] of [...periods.entries()].toReversed()) {
      if (left === 0) return;
      keep(itsSets.at(resistsFloods ? 0 : -1)!.set, name, period, which);
      if (at > 0 || index === 0) left -= 1;
    }
  }
}
