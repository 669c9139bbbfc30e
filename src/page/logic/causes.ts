/** Words for causes: why a client has its state, in English those of `tardis status`, and why a purge keeps a set. */
import type { Client } from '../../web/api/schemas.js';
import { shownAge, shownAgo, shownBytes, shownDay } from './formats.js';
import { type Translate, wordsFor } from './texts.js';

type Stated = Pick<Client, 'state' | 'cause' | 'advice'>;
type Read = Pick<NonNullable<Client['proof']>, 'checkedAtMs' | 'readShare' | 'allReadSinceMs'>;
/** The error of a store whose disk is not there. */
const AWAY = 'NO_SUCH_STORE';

/** Returns why a client has its state, as a sentence. */
export function reasonOf({ state, cause }: Stated, translate: Translate, language: string): string {
  const { code, ageMs, allowedMs = 0, beganMs = 0, count = 0, ofCount = 0 } = cause;
  const { bytes = 0, ofBytes = 0, error, detail = '' } = cause;
  const age = shownAge(ageMs ?? 0, language);
  const values = {
    n: count,
    age,
    allowed: shownAge(allowedMs, language),
    began: shownAge(beganMs, language),
    detail,
    bytes: shownBytes(bytes, language),
    of: ofBytes === 0 ? ofCount : shownBytes(ofBytes, language),
    last: ageMs === undefined ? translate('ageNone') : translate('ageLast', { age }),
  };
  // A quota or a disk that is full, and a disk that is not there, have words of their own.
  const isWorst = state === 'failed' || error === AWAY;
  const worst = isWorst ? wordsFor(`cause-${code}-worst`, translate, values) : undefined;
  return worst ?? translate(`cause-${code}`, values);
}

/** Returns what to do, as sentences; empty if nothing is. Without words of its own for an error, those of the API. */
export function adviceOf({ cause, advice }: Stated, translate: Translate): string {
  const { code, error = '' } = cause;
  if (error === '' || error === AWAY) return wordsFor(`advice-${code}`, translate) ?? '';
  return wordsFor(`error${error}`, translate) ?? advice;
}

/** Returns how much of the data checks have read, and when, as a sentence. */
export function readText(proof: Read, translate: Translate, language: string): string {
  const { checkedAtMs, readShare = 0, allReadSinceMs } = proof;
  if (checkedAtMs === undefined) return translate('storeUnchecked');
  const day = shownDay(allReadSinceMs ?? 0, language);
  const whole = allReadSinceMs === undefined ? '' : translate('storeAllRead', { day });
  const ago = shownAgo(checkedAtMs, Date.now(), language);
  if (readShare === 0) return translate('storeChecked', { ago, whole });
  const percent = Math.floor(readShare * 100); // only all of it is 100 %
  const format = new Intl.NumberFormat(language, { style: 'percent' });
  const share = format.format(Math.max(1, percent) / 100);
  return translate(percent === 0 ? 'storeReadLittle' : 'storeRead', { share, whole });
}

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
  return wordsFor(`keep-${why.replace(' ', '-')}`, translate, { what }) ?? `${why} ${what}`;
}
