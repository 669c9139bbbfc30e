/** Words for causes: why a client has its state, in English those of `tardis status`, and why a purge keeps a set. */
import { shownAge } from './formats.js';
import type { TextKey, Translate } from './texts.js';

const TEXTS = {
  good: ['causeGood'],
  running: ['causeRunning'],
  never: ['causeNever', 'adviceNever'],
  cut: ['causeCut', 'adviceFailed'],
  incomplete: ['causeIncomplete', 'adviceFailed'],
  failed: ['causeFailed', 'adviceFailed'],
  late: ['causeLate', 'adviceLate'],
  damaged: ['causeDamaged', 'adviceDamaged'],
  unread: ['causeUnread', 'adviceUnread'],
  unseen: ['causeUnseen', 'adviceUnseen'],
  closed: ['causeClosed'],
} as const satisfies Record<string, readonly [reason: TextKey, advice?: TextKey]>;

/** The cause of a state, as the API reports it. */
interface Cause {
  readonly code: keyof typeof TEXTS;
  readonly ageMs?: number;
  readonly allowedMs?: number;
  readonly beganMs?: number;
  readonly count?: number;
  readonly detail?: string;
}

/** Returns why a client has its state, as a sentence. */
export function reasonOf(cause: Cause, translate: Translate, language: string): string {
  const { code, ageMs, allowedMs = 0, beganMs = 0, count = 0, detail = '' } = cause;
  const age = shownAge(ageMs ?? 0, language);
  return translate(TEXTS[code][0], {
    n: count,
    age,
    allowed: shownAge(allowedMs, language),
    began: shownAge(beganMs, language),
    detail,
    last: ageMs === undefined ? translate('ageNone') : translate('ageLast', { age }),
  });
}

/** Returns what to do, as a sentence; empty if nothing is. */
export function adviceOf({ code }: Cause, translate: Translate): string {
  const [, advice] = TEXTS[code];
  return advice === undefined ? '' : translate(advice);
}

/** Texts of the reasons to keep a set. Those of periods need the name of the period. */
const KEPT: Readonly<Record<string, TextKey>> = {
  locked: 'keepLocked',
  newest: 'keepNewest',
  unfinished: 'keepUnfinished',
  young: 'keepYoung',
  last: 'keepLast',
  within: 'keepWithin',
  tag: 'keepTag',
  clock: 'keepClock',
  damaged: 'keepDamaged',
  'not meant': 'keepNotMeant',
  'no rule': 'keepNoRule',
  hour: 'keepHour',
  day: 'keepDay',
  week: 'keepWeek',
  month: 'keepMonth',
  year: 'keepYear',
};

interface Reason {
  readonly why: string;
  readonly what?: string;
}

/** Returns the reason to keep a set, in words. */
export function keptBy({ why, what = '' }: Reason, translate: Translate): string {
  const days = Number.parseInt(what, 10);
  if (why === 'priority') {
    return Number.isNaN(days)
      ? translate('keepPriorityEver')
      : translate('keepPriority', { n: days });
  }
  if (what === 'of a time in doubt') return translate('keepDoubtfulTime');
  if (what === 'of the series that have ended') return translate('keepNewestEnded');
  const key = Object.hasOwn(KEPT, why) ? KEPT[why] : undefined;
  return key === undefined ? `${why} ${what}` : translate(key, { what });
}
