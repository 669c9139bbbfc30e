/**
 * Decides how the backups of a client are, from facts alone: its sets, its runs, its roots, space and the time. Commands,
 * metrics, mails, the page and its API show this answer, and decide nothing.
 */
import { ERROR_TABLE, isErrorCode } from '../errors/index.js';
import { type RunRecord, wordsOf } from './run.js';
import { ageText, DAY_MS, dayText, formatBytes, percentText } from './units.js';

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

/** Facts that the catalog shows, of a client without sets. Times are in milliseconds since 1970; 0 is for what is not there. */
const NO_SETS = {
  completeSets: 0,
  /** Number and end of the newest complete set. */
  newestSet: 0,
  newestAtMs: 0,
  /** Number of entries that it could not read, or only in part. */
  unread: 0,
  /** True if it may lack entries that were lost to damage. */
  isDoubtful: false as boolean,
  /** Start of the unfinished set after it. */
  unfinishedAtMs: 0,
  /** Contents that a check found damaged. */
  damagedContents: 0,
  /** Age from which the client is late: that of its server, or else what is older than usual; 0 if that is unknown. */
  lateAfterMs: 0,
  /** The roots that the configuration has, each with the number and the end of the newest complete set that has it. */
  roots: Object.freeze<SavedRoot[]>([]),
};
export type SetFacts = Readonly<typeof NO_SETS>;

export interface SavedRoot {
  readonly id: string;
  readonly set: number;
  readonly atMs: number;
}

/** Facts that the journal shows, in the same form. */
const NO_RUNS = {
  /** End of the last backup of all configured roots that was not complete, its code, and its error's words. */
  failedAtMs: 0,
  failureCode: '',
  failure: '',
  /** The newest set that was recorded before that backup, and the first one after it: a clock may be wrong. 0 if there is none. */
  setBeforeFailure: 0,
  setAfterFailure: 0,
  /** The code of the last copy to another store, if it failed; empty if the last one to each did not. */
  copyFailure: '',
  /** End of the last backup that the user stopped. */
  stoppedAtMs: 0,
  /** When a check last read data, and the share of the data that checks have read in the last week, from 0 to 1. */
  checkedAtMs: 0,
  readShare: 0,
  /** All data was read at this time or later. */
  allReadSinceMs: 0,
  /** Faults that the last check found. */
  faults: 0,
  /** When files were last restored and all of their contents had the right digests. */
  restoredAtMs: 0,
  /** Age from which the server of the client, or else the configuration of its backups, takes it for late. */
  lateAfterMs: 0,
};
export type RunFacts = Readonly<typeof NO_RUNS>;

/** Facts about space; a limit of 0 is none. */
const NO_SPACE = {
  /** Bytes that the client's account may use and uses, and that the client uses of them. */
  quotaBytes: 0,
  accountBytes: 0,
  usedBytes: 0,
  /** The disk of the store, and the bytes that a backup leaves free on it. */
  diskBytes: 0,
  freeBytes: 0,
  leastFreeBytes: 0,
};
export type SpaceFacts = Readonly<typeof NO_SPACE>;

export interface ClientFacts extends SetFacts, RunFacts, SpaceFacts {
  /** The reason why the client cannot be seen now; empty if it can. */
  readonly fault: string;
  /** True if a backup is in progress. */
  readonly isInUse: boolean;
}

export const NO_FACTS: ClientFacts = Object.freeze({
  ...NO_SETS,
  ...NO_RUNS,
  ...NO_SPACE,
  fault: '',
  isInUse: false,
});

/** The facts that a state follows from, for programs that put it into words of their own. */
export interface StateCause {
  readonly code:
    | 'good'
    | 'running'
    | 'unread'
    | 'damaged'
    | 'copy'
    | 'quota'
    | 'disk'
    | 'ahead'
    | 'late'
    | 'lacking'
    | 'cut'
    | 'failed'
    | 'never'
    | 'unseen';
  /** Age of what is saved: of the newest complete set of the root for which that is oldest; absent if there is none. */
  readonly ageMs?: number;
  /** Age from which a client is late. */
  readonly allowedMs?: number;
  /** Age of a run that failed or was cut off. */
  readonly beganMs?: number;
  /** Number of entries that were not read, or of roots that no set has, and of how many. */
  readonly count?: number;
  readonly ofCount?: number;
  /** Free bytes of a disk, or used bytes of a quota, and of how many. */
  readonly bytes?: number;
  readonly ofBytes?: number;
  /** The code and the words of an error. */
  readonly error?: string;
  readonly detail?: string;
}

/** Proof that the backups can be restored. It does not change the state, since a new client has none. */
export interface Proof {
  /** `restored` in the last half year, before that (`old`), or never (`none`). */
  readonly code: 'restored' | 'old' | 'none';
  readonly restoredAtMs?: number;
  readonly checkedAtMs?: number;
  readonly readShare?: number;
  readonly allReadSinceMs?: number;
  /** Sentences for the user: about restores, and about data that checks have read. */
  readonly reason: string;
  readonly read: string;
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
/** Time in which data that was read counts as read lately. */
const LATELY_MS = 7 * DAY_MS;
/** A time that is so far ahead is by a wrong clock. */
const AHEAD_MS = DAY_MS;
/** Time for which a copy that failed counts, and maximum number of targets of which the last copy is carried along. */
const COPIED_MS = 30 * DAY_MS;
const MAX_TARGETS = 16;
/** Share of a quota or a disk from which its user is warned. */
const WARNED_SHARE = 0.9;

/** Returns how a client is: the most urgent of all that the facts show. */
export function clientState(facts: ClientFacts, nowMs: number): ClientState {
  const found =
    RULES.map((rule) => rule(facts, nowMs)).find((state) => state !== undefined) ?? GOOD;
  return facts.fault === '' ? { ...found, proof: proofBy(facts, nowMs) } : found;
}

/** Returns states with the most urgent first. */
export function byUrgency<S extends Pick<ClientState, 'state'>>(states: readonly S[]): S[] {
  const urgency = ({ state }: S): number => CLIENT_STATES.indexOf(state);
  return states.toSorted((one, other) => urgency(other) - urgency(one));
}

/** True for a state in which there is nothing to do. */
export function isWell({ state }: Pick<ClientState, 'state'>): boolean {
  return state === 'good' || state === 'running';
}

/** Returns the time up to which all configured roots are saved; 0 if one of them is in no complete set. */
export function savedAtMs({ roots, newestAtMs }: Pick<SetFacts, 'roots' | 'newestAtMs'>): number {
  return roots.reduce((oldest, { atMs }) => Math.min(oldest, atMs), newestAtMs);
}

/**
 * True if the last backup that failed came before a set of each root. The order of the journal decides where it has the set,
 * and else the times.
 */
function isFailureOver(facts: ClientFacts): boolean {
  const { roots, newestSet, newestAtMs, failedAtMs, setBeforeFailure, setAfterFailure } = facts;
  const isRecorded = (set: number): boolean => setAfterFailure > 0 && set >= setAfterFailure;
  return [...roots, { set: newestSet, atMs: newestAtMs }].every(
    ({ set, atMs }) => set > setBeforeFailure && (isRecorded(set) || atMs >= failedAtMs),
  );
}

/** Kinds of records of which the newest decides, however many others are newer. */
const DECIDING = {
  checked: ({ kind, numbers }: RunRecord) => kind === 'check' && numbers.totalBytes !== undefined,
  read: (run: RunRecord) => DECIDING.checked(run) && (run.numbers.readBytes ?? 0) > 0,
  damaged: (run: RunRecord) => DECIDING.read(run) && (run.numbers.faults ?? 0) > 0,
  restored: ({ kind, end }: RunRecord) => kind === 'restore' && end === 'done',
  stopped: ({ kind, end }: RunRecord) => kind === 'backup' && end === 'stopped',
  saved: ({ kind, numbers }: RunRecord) => kind === 'backup' && numbers.set !== undefined,
  limited: ({ kind, numbers }: RunRecord) => kind === 'alert' && numbers.lateAfterMs !== undefined,
  planned: ({ kind, numbers }: RunRecord) => kind === 'backup' && numbers.lateAfterMs !== undefined,
  configured: ({ kind, configured }: RunRecord) => kind === 'backup' && configured !== undefined,
};

/** Alerts of a server about a client, each sent once for a newest complete set. */
export const ALERT_KINDS = ['OVERDUE', 'FAILING'] as const;
export type AlertKind = (typeof ALERT_KINDS)[number];

/** Returns the record of the last alert of a kind. */
export function lastAlert(runs: readonly RunRecord[], alert: AlertKind): RunRecord | undefined {
  return runs.findLast(({ kind, code }) => kind === 'alert' && code === alert);
}

/** Returns the records that decide how a client is, whatever was recorded after them. The records are in the order of the journal. */
export function decidingRuns(runs: readonly RunRecord[]): RunRecord[] {
  const found = new Set([
    backupOf(runs),
    ...Object.values(DECIDING).map((isOne) => runs.findLast(isOne)),
    ...ALERT_KINDS.map((alert) => lastAlert(runs, alert)),
    runs.findLast(isOfAll),
    ...lastCopies(runs).slice(-MAX_TARGETS),
  ]);
  return runs.filter((run) => found.has(run));
}

/**
 * Returns the last backup of all that a configuration has. Where a run had one, those without say nothing about it. A run that
 * a user stopped does not count.
 */
function backupOf(runs: readonly RunRecord[]): RunRecord | undefined {
  const isSetUp = runs.some(({ way, isWhole }) => way !== 'server' && isWhole !== undefined);
  return runs.findLast(
    ({ kind, end, isWhole = !isSetUp }) => kind === 'backup' && end !== 'stopped' && isWhole,
  );
}

/** Returns the last copy to each target. */
function lastCopies(runs: readonly RunRecord[]): RunRecord[] {
  const copies = runs.filter(
    ({ kind, end }) => kind === 'copy' && !['stopped', 'cut'].includes(end),
  );
  return [...new Map(copies.map((run) => [run.configured?.join() ?? '', run])).values()];
}

/** True for a check that read all data. */
function isOfAll(run: RunRecord): boolean {
  return DECIDING.read(run) && run.numbers.readBytes! >= run.numbers.totalBytes!;
}

/** Returns what the journal of a client shows. The records are in its order. */
export function runFacts(runs: readonly RunRecord[], nowMs: number): RunFacts {
  const { checked, read, damaged, restored, stopped, saved, planned } = DECIDING;
  const known = (ms = 0): number => (ms > nowMs + AHEAD_MS ? 0 : ms); // by a clock that was wrong
  const backup = backupOf(runs);
  const isFailed = backup?.end === 'failed' || backup?.end === 'cut';
  // A target of which the last copy failed long ago may have been given up.
  const copy = lastCopies(runs).find(
    ({ end, endedMs }) => end === 'failed' && Math.abs(nowMs - endedMs) < COPIED_MS,
  );
  const failedAt = isFailed ? runs.indexOf(backup) : runs.length;
  const lately = runs.filter((run) => read(run) && known(run.endedMs) > nowMs - LATELY_MS);
  const readBytes = lately.reduce((sum, { numbers }) => sum + (numbers.readBytes ?? 0), 0);
  const [check, reading, bad] = [checked, read, damaged].map((isOne) => runs.findLast(isOne));
  const { totalBytes = 0, faults = 0 } = check?.numbers ?? {};
  const allReadSinceMs = known(reading?.numbers.allReadSinceMs);
  // Damage that reading has found is known until all was read again, by one check or by several.
  const isKnownBad =
    bad !== undefined &&
    (bad === reading || allReadSinceMs < bad.endedMs) &&
    !runs.slice(runs.indexOf(bad) + 1).some(isOfAll);
  return {
    failedAtMs: isFailed ? backup.endedMs : 0,
    failureCode: isFailed ? (backup.code ?? '') : '',
    failure: isFailed ? (wordsOf(backup).message ?? '') : '',
    setBeforeFailure: runs.slice(0, failedAt).findLast(saved)?.numbers.set ?? 0,
    setAfterFailure: runs.slice(failedAt).find(saved)?.numbers.set ?? 0,
    copyFailure: copy?.code ?? '',
    stoppedAtMs: runs.findLast(stopped)?.endedMs ?? 0,
    checkedAtMs: known(reading?.endedMs),
    readShare: totalBytes === 0 ? 0 : Math.min(1, readBytes / totalBytes),
    allReadSinceMs,
    faults: Math.max(faults, isKnownBad ? (bad.numbers.faults ?? 0) : 0),
    restoredAtMs: known(runs.findLast(restored)?.endedMs),
    lateAfterMs: serverLimitMs(runs) || (runs.findLast(planned)?.numbers.lateAfterMs ?? 0),
  };
}

/** Returns the age from which the server of a client takes it for late; 0 if it has recorded none. */
export function serverLimitMs(runs: readonly RunRecord[]): number {
  return runs.findLast(DECIDING.limited)?.numbers.lateAfterMs ?? 0;
}

/** Returns the roots of the last configuration that the journal has; undefined if it has none. */
export function configuredRoots(runs: readonly RunRecord[]): readonly string[] | undefined {
  return runs.findLast(DECIDING.configured)?.configured;
}

/** The rules, the most urgent first. Each returns a state if it applies. */
const RULES: readonly ((facts: ClientFacts, nowMs: number) => ClientState | undefined)[] = [
  unseen,
  running,
  failed,
  never,
  full,
  lacking,
  late,
  ahead,
  damaged,
  uncopied,
  unreadEntries,
  nearlyFull,
];

const GOOD: ClientState = {
  state: 'good',
  cause: { code: 'good' },
  reason: 'The last backup is complete.',
  advice: '',
};

function unseen({ fault }: ClientFacts): ClientState | undefined {
  if (fault === '') return undefined;
  return {
    state: 'unknown',
    cause: { code: 'unseen', detail: fault },
    reason: `The backups cannot be seen: ${fault}${/[.?!]$/.test(fault) ? '' : '.'}`,
    advice: 'Connect the disk or the server of the store, then look again.',
  };
}

function running(facts: ClientFacts, nowMs: number): ClientState | undefined {
  if (!facts.isInUse) return undefined;
  const reason = `A backup is running; ${lastText(facts, nowMs)}.`;
  return {
    state: 'running',
    cause: { code: 'running', ...ageOf(facts, nowMs) },
    reason,
    advice: '',
  };
}

function never({ newestSet }: ClientFacts): ClientState | undefined {
  if (newestSet > 0) return undefined;
  return {
    state: 'never',
    cause: { code: 'never' },
    reason: 'There is no complete backup yet.',
    advice: 'Run `tardis backup`, or `tardis setup` for a schedule.',
  };
}

/** A run of all roots that failed, or was cut off. A later set of all roots ends that, as does a stop by the user. */
function failed(facts: ClientFacts, nowMs: number): ClientState | undefined {
  const { failedAtMs, failureCode, failure, unfinishedAtMs, stoppedAtMs } = facts;
  const isFailed = failedAtMs > 0 && !isFailureOver(facts);
  const detail = [failure, failureCode && `[${failureCode}]`]
    .filter((word) => word !== '')
    .join(' ');
  const last = lastText(facts, nowMs);
  const age = ageOf(facts, nowMs);
  if (isFailed && detail !== '') {
    const beganMs = Math.max(0, nowMs - failedAtMs);
    return {
      state: 'failed',
      cause: { code: 'failed', error: failureCode, detail, beganMs, ...age },
      reason: `The last backup was not completed: ${detail} (${ageText(beganMs)} ago); ${last}.`,
      advice: adviceFor(failureCode),
    };
  }
  const cutAtMs = isFailed ? failedAtMs : stoppedAtMs >= unfinishedAtMs ? 0 : unfinishedAtMs;
  if (cutAtMs === 0) return undefined;
  const beganMs = Math.max(0, nowMs - cutAtMs);
  return {
    state: 'failed',
    cause: { code: 'cut', beganMs, ...age },
    reason: `The last backup was not completed: the run that began ${ageText(beganMs)} ago was cut off; ${last}.`,
    advice: RUN_AGAIN,
  };
}

function adviceFor(error: string): string {
  return isErrorCode(error) ? ERROR_TABLE[error].guidance : RUN_AGAIN;
}

const RUN_AGAIN =
  'Run `tardis backup` and read its messages; it continues where the last one stopped.';

function full({ quotaBytes, accountBytes, ...disk }: ClientFacts): ClientState | undefined {
  if (quotaBytes > 0 && accountBytes >= quotaBytes)
    return ofQuota('failed', accountBytes, quotaBytes);
  const { diskBytes, freeBytes, leastFreeBytes } = disk;
  return diskBytes > 0 && freeBytes <= leastFreeBytes
    ? ofDisk('failed', freeBytes, diskBytes)
    : undefined;
}

function nearlyFull({ quotaBytes, accountBytes, ...disk }: ClientFacts): ClientState | undefined {
  if (accountBytes > quotaBytes * WARNED_SHARE) return ofQuota('warned', accountBytes, quotaBytes);
  const { diskBytes, freeBytes } = disk;
  return freeBytes < diskBytes * (1 - WARNED_SHARE)
    ? ofDisk('warned', freeBytes, diskBytes)
    : undefined;
}

function ofQuota(state: ClientStateName, bytes: number, ofBytes: number): ClientState {
  const end = state === 'failed' ? 'the next backup is refused' : 'it is nearly full';
  return {
    state,
    cause: { code: 'quota', bytes, ofBytes },
    reason: `Of the quota, ${formatBytes(bytes)} of ${formatBytes(ofBytes)} are used: ${end}.`,
    advice: 'Delete sets (`tardis purge --preview`), or ask the administrator for a higher quota.',
  };
}

function ofDisk(state: ClientStateName, bytes: number, ofBytes: number): ClientState {
  const end = state === 'failed' ? 'the disk is full' : 'it is nearly full';
  return {
    state,
    cause: { code: 'disk', bytes, ofBytes },
    reason: `On the disk of the store, ${formatBytes(bytes)} of ${formatBytes(ofBytes)} are free: ${end}.`,
    advice: 'Delete sets (`tardis purge --preview`), or use a larger disk.',
  };
}

/** Configured roots that no complete set has. */
function lacking({ roots }: ClientFacts): ClientState | undefined {
  const count = roots.filter(({ atMs }) => atMs === 0).length;
  if (count === 0) return undefined;
  const are = count === 1 ? 'is' : 'are';
  return {
    state: 'late',
    cause: { code: 'lacking', count, ofCount: roots.length },
    reason: `Of ${roots.length} configured directories, ${count} ${are} in no complete backup.`,
    advice: 'Run `tardis backup`, which saves all that the configuration names.',
  };
}

function late(facts: ClientFacts, nowMs: number): ClientState | undefined {
  const { lateAfterMs } = facts;
  const ageMs = Math.max(0, nowMs - savedAtMs(facts));
  if (lateAfterMs === 0 || ageMs < lateAfterMs) return undefined;
  return {
    state: 'late',
    cause: { code: 'late', ageMs, allowedMs: lateAfterMs },
    reason: `The newest backup is ${ageText(ageMs)} old, and should be at most ${ageText(lateAfterMs)} old.`,
    advice: 'Run `tardis backup`, and look whether its timer runs.',
  };
}

function ahead(facts: ClientFacts, nowMs: number): ClientState | undefined {
  if (savedAtMs(facts) <= nowMs + AHEAD_MS) return undefined;
  return {
    state: 'warned',
    cause: { code: 'ahead' },
    reason: 'The newest backup is dated in the future, so its age is not known.',
    advice: 'Set the clock of this machine, then run `tardis backup`.',
  };
}

function damaged({ damagedContents, isDoubtful, faults }: ClientFacts): ClientState | undefined {
  if (damagedContents + faults === 0 && !isDoubtful) return undefined;
  return {
    state: 'warned',
    cause: { code: 'damaged' },
    reason: 'Parts of the backups are damaged.',
    advice:
      'Run `tardis check --repair`, which names and mends them; the next backup sends what the disk still has.',
  };
}

function uncopied({ copyFailure: error }: ClientFacts): ClientState | undefined {
  if (error === '') return undefined;
  return {
    state: 'warned',
    cause: { code: 'copy', error },
    reason: `The backup is complete; its copy to another store failed [${error}].`,
    advice: adviceFor(error),
  };
}

function unreadEntries({ unread: count }: ClientFacts): ClientState | undefined {
  if (count === 0) return undefined;
  return {
    state: 'warned',
    cause: { code: 'unread', count },
    reason: `The last backup could not read ${count === 1 ? '1 entry' : `${count} entries`}.`,
    advice:
      '`sonic info` names what could not be read: exclude it, or back up as a user who may read it.',
  };
}

function ageOf(facts: ClientFacts, nowMs: number): Pick<StateCause, 'ageMs'> {
  const atMs = savedAtMs(facts);
  return atMs === 0 ? {} : { ageMs: Math.max(0, nowMs - atMs) };
}

function lastText(facts: ClientFacts, nowMs: number): string {
  const { ageMs } = ageOf(facts, nowMs);
  return ageMs === undefined ? 'there is no complete set' : `the last one is ${ageText(ageMs)} old`;
}

function proofBy(facts: RunFacts, nowMs: number): Proof {
  const { checkedAtMs, readShare, allReadSinceMs, restoredAtMs } = facts;
  const advice = 'Restore a file into another directory: `tardis restore PATH --output DIRECTORY`.';
  const ageMs = Math.max(0, nowMs - restoredAtMs);
  const code = restoredAtMs === 0 ? 'none' : ageMs >= PROOF_LASTS_MS ? 'old' : 'restored';
  return {
    code,
    ...(restoredAtMs > 0 && { restoredAtMs }),
    ...(checkedAtMs > 0 && { checkedAtMs, readShare }),
    ...(allReadSinceMs > 0 && { allReadSinceMs }),
    reason:
      code === 'none'
        ? 'No restore has proven these backups yet.'
        : `Files were last restored and proven ${ageText(ageMs)} ago.`,
    read: readText(facts, nowMs),
    advice: code === 'restored' ? '' : advice,
  };
}

/** Returns how much of the data checks have read, and when. */
function readText({ checkedAtMs, readShare, allReadSinceMs }: RunFacts, nowMs: number): string {
  if (checkedAtMs === 0) return 'no data was read again (`tardis check --read-data`)';
  const whole = allReadSinceMs === 0 ? '' : `, all of it since ${dayText(allReadSinceMs)}`;
  if (readShare === 0)
    return `data was last read again ${ageText(Math.max(0, nowMs - checkedAtMs))} ago${whole}`;
  return `${percentText(readShare)} of the data in the last 7 days${whole}`;
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
