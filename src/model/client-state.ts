/**
 * Decides the state of a client's backups, with the reason and what to do. Commands, metrics, the page and its API show
 * this state, so that none of them calls good what another one calls late.
 */
import { HOUR_MS, DAY_MS } from './times.js';

/** The states, the most urgent last. */
export const CLIENT_STATES = [
  'good',
  'running',
  'warned',
  'late',
  'failed',
  'never',
  'unknown',
] as const;
export type ClientStateName = (typeof CLIENT_STATES)[number];

/** A run that completed no set: its session ended without one, or it was cut off, and began `beganMs` ago. */
export type RunFailure =
  | { readonly code: 'incomplete' }
  | { readonly code: 'cut'; beganMs: number };

/** When backups were last proven, in milliseconds since 1970; 0 for never, or if it is not known. */
export interface ProofTimes {
  /** When a check last read data of the store again. */
  readonly checkedAtMs: number;
  /** When files were last restored and all of their contents had the right digests. */
  readonly restoredAtMs: number;
}

/** Facts about a client. An unknown one is undefined, or 0. */
export interface ClientFacts {
  /** The reason why the client cannot be seen now; undefined if it can. */
  readonly fault?: string | undefined;
  /** True if a backup is in progress. */
  readonly isRunning?: boolean;
  /** Why the last run completed no set: a reason, or what is known of it; undefined if it completed one. */
  readonly failure?: string | RunFailure | undefined;
  /** The newest complete set; undefined if there is none. */
  readonly newest:
    | {
        readonly ageMs: number;
        /** Number of entries that the backup could not read, or only in part. */
        readonly unread: number;
        /** True if the set may lack entries that were lost to damage. */
        readonly isDoubtful?: boolean;
      }
    | undefined;
  /** Age of the newest complete set from which the client is late; 0 if no interval is known. */
  readonly lateAfterMs: number;
  /** Contents that a check found damaged. */
  readonly damagedContents?: number | undefined;
  /** When the backups were last proven, and the time now; undefined if that cannot be seen. */
  readonly proven?: (ProofTimes & { readonly nowMs: number }) | undefined;
}

/** The facts that a state follows from, for programs that put it into words of their own. */
export interface StateCause {
  readonly code:
    | 'good'
    | 'running'
    | 'unread'
    | 'damaged'
    | 'late'
    | RunFailure['code']
    | 'failed'
    | 'never'
    | 'unseen';
  /** Age of the newest complete set; absent if there is none. */
  readonly ageMs?: number;
  /** Age from which a client is late. */
  readonly allowedMs?: number;
  /** Age of a run that was cut off. */
  readonly beganMs?: number;
  /** Number of entries that were not read. */
  readonly count?: number;
  /** The words of an error. */
  readonly detail?: string;
}

/** The last proof that the backups can be restored. It does not change the state, since a new client has none. */
export interface Proof extends Partial<ProofTimes> {
  /** `restored` in the last half year, before that (`old`), or never (`none`). */
  readonly code: 'restored' | 'old' | 'none';
  /** A sentence for the user. */
  readonly reason: string;
  /** The next step for the user, as a sentence; empty if none is needed. */
  readonly advice: string;
}

export interface ClientState {
  readonly state: ClientStateName;
  readonly cause: StateCause;
  /** A sentence for the user. */
  readonly reason: string;
  /** The next step for the user, as a sentence; empty if none is needed. */
  readonly advice: string;
  /** Undefined if nobody can see whether there is one. */
  readonly proof?: Proof;
}

/** Multiple of the usual distance of days with a backup. A client without a newer one is late. */
const LATE_TIMES = 2.5;
/** Age from which a proof is old. */
const PROOF_LASTS_MS = 182 * DAY_MS;
/** Minimum number of distances that show the usual one. */
const LEAST_DISTANCES = 3;

/**
 * Returns the state of a client, and the last proof that it can be restored. A state that hides data or a fault goes before
 * one that only warns.
 */
export function clientState(facts: ClientFacts): ClientState {
  const { proven } = facts;
  return { ...stateBy(facts), ...(proven === undefined ? {} : { proof: proofBy(proven) }) };
}

function proofBy({ checkedAtMs, restoredAtMs, nowMs }: ProofTimes & { nowMs: number }): Proof {
  const checked = checkedAtMs > 0 ? { checkedAtMs } : {};
  const advice = 'Restore a file into another directory: `tardis restore PATH --output DIRECTORY`.';
  if (restoredAtMs === 0) {
    return { code: 'none', ...checked, reason: 'No restore has proven these backups yet.', advice };
  }
  const ageMs = Math.max(0, nowMs - restoredAtMs);
  const isOld = ageMs >= PROOF_LASTS_MS;
  return {
    code: isOld ? 'old' : 'restored',
    ...checked,
    restoredAtMs,
    reason: `Files were last restored and proven ${ageText(ageMs)} ago.`,
    advice: isOld ? advice : '',
  };
}

function stateBy(facts: ClientFacts): ClientState {
  const { fault, isRunning = false, failure, newest, lateAfterMs } = facts;
  if (fault !== undefined) {
    return {
      state: 'unknown',
      cause: { code: 'unseen', detail: fault },
      reason: `The backups cannot be seen: ${fault}${/[.?!]$/.test(fault) ? '' : '.'}`,
      advice: 'Connect the disk or the server of the store, then look again.',
    };
  }
  const last =
    newest === undefined
      ? 'there is no complete set'
      : `the last one is ${ageText(newest.ageMs)} old`;
  const { ageMs } = newest ?? {};
  const age = ageMs === undefined ? {} : { ageMs };
  if (isRunning) {
    const cause = { code: 'running', ...age } as const;
    return { state: 'running', cause, reason: `A backup is running; ${last}.`, advice: '' };
  }
  if (newest === undefined && failure === undefined) {
    return {
      state: 'never',
      cause: { code: 'never' },
      reason: 'There is no complete backup yet.',
      advice: 'Run `tardis backup`, or `tardis setup` for a schedule.',
    };
  }
  if (failure !== undefined) {
    return {
      state: 'failed',
      cause: {
        ...(typeof failure === 'string' ? { code: 'failed', detail: failure } : failure),
        ...age,
      },
      reason: `The last backup was not completed: ${failureText(failure)}; ${last}.`,
      advice: 'Run `tardis backup` and read its messages; it continues where the last one stopped.',
    };
  }
  if (lateAfterMs > 0 && newest!.ageMs >= lateAfterMs) {
    return {
      state: 'late',
      cause: { code: 'late', ageMs: newest!.ageMs, allowedMs: lateAfterMs },
      reason: `The newest backup is ${ageText(newest!.ageMs)} old, and should be at most ${ageText(lateAfterMs)} old.`,
      advice: 'Run `tardis backup`, and look whether its timer runs.',
    };
  }
  return warnedOrGood(facts);
}

function warnedOrGood({ newest, damagedContents = 0 }: ClientFacts): ClientState {
  const { unread = 0, isDoubtful = false } = newest ?? {};
  if (damagedContents > 0 || isDoubtful) {
    return {
      state: 'warned',
      cause: { code: 'damaged' },
      reason: 'Parts of the backups are damaged.',
      advice:
        'Run `tardis check`, which names them; the next backup sends what the disk still has.',
    };
  }
  if (unread > 0) {
    const what = unread === 1 ? '1 entry' : `${unread} entries`;
    return {
      state: 'warned',
      cause: { code: 'unread', count: unread },
      reason: `The last backup could not read ${what}.`,
      advice:
        '`sonic info` names what could not be read: exclude it, or back up as a user who may read it.',
    };
  }
  return {
    state: 'good',
    cause: { code: 'good' },
    reason: 'The last backup is complete.',
    advice: '',
  };
}

function failureText(failure: string | RunFailure): string {
  if (typeof failure === 'string') return failure;
  return failure.code === 'cut'
    ? `the run that began ${ageText(failure.beganMs)} ago was cut off`
    : 'its last session completed no set';
}

/**
 * Returns the age from which a client is late if no interval is known: a multiple of the usual distance between the
 * days on which its complete sets ended, in `endsMs`. 0 if there are too few days.
 */
export function usualLateMs(endsMs: readonly number[]): number {
  const days = [...new Set(endsMs.map((ms) => Math.floor(ms / DAY_MS)))].sort((a, b) => a - b);
  const distances = days.slice(1).map((day, index) => day - days[index]!);
  if (distances.length < LEAST_DISTANCES) return 0;
  const sorted = distances.sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)]! * LATE_TIMES * DAY_MS;
}

/** Returns an age in minutes, hours or days. */
export function ageText(ms: number): string {
  const [count, unit] =
    ms < 2 * HOUR_MS
      ? [Math.floor(ms / 60_000), 'minute']
      : ms < 2 * DAY_MS
        ? [Math.floor(ms / HOUR_MS), 'hour']
        : [Math.floor(ms / DAY_MS), 'day'];
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}
