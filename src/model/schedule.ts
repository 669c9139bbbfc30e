/**
 * Returns the times at which backups are planned, and decides whether one begins now. A timer runs the decision often, so
 * a backup that was slept through or had to wait begins at the first moment at which all it needs is there.
 */

export const SCHEDULES = ['hourly', 'daily', 'weekly'] as const;
export type Schedule = (typeof SCHEDULES)[number];

/** Age from which a client is late, by its schedule. */
const LATE_SECONDS: Readonly<Record<Schedule, number>> = {
  hourly: 4 * 3600,
  daily: 26 * 3600,
  weekly: 8 * 24 * 3600,
};

/** Returns the age in seconds from which a client is late by its configuration; 0 if that does not say it. */
export function lateSeconds(schedule: Schedule | undefined, overdueSeconds = 0): number {
  return overdueSeconds > 0 || schedule === undefined ? overdueSeconds : LATE_SECONDS[schedule];
}

/** The hour, in local time, at which daily and weekly backups are planned. */
const HOUR = 2;
/** Time from a failed backup to the next try. */
const RETRY_AFTER_MS = 3_600_000;
/** Time from a report of a fault to the next report of the same fault. */
const REPORT_AGAIN_MS = 24 * 3_600_000;

/** Returns the last planned time up to now, or with `later` = 1 the next one. Daily: at two; weekly: on Sundays at two. */
export function plannedMs(schedule: Schedule, nowMs: number, later: 0 | 1 = 0): number {
  const date = new Date(nowMs);
  if (schedule === 'hourly') return date.setMinutes(later * 60, 0, 0);
  date.setHours(HOUR, 0, 0, 0);
  if (date.getTime() > nowMs) date.setDate(date.getDate() - 1);
  if (schedule === 'daily') return date.setDate(date.getDate() + later);
  return date.setDate(date.getDate() - date.getDay() + later * 7);
}

/** Times that this machine remembers; one that it does not know is undefined. */
interface Times {
  readonly lastGoodMs?: number | undefined;
  /** End of the last backup that failed. */
  readonly failedAtMs?: number | undefined;
  /** Time of the last report. */
  readonly reportedAtMs?: number | undefined;
}

/** True if a backup is planned that was not made yet, and none has just failed. */
export function isDue(schedule: Schedule, times: Times, nowMs: number): boolean {
  const { lastGoodMs = 0, failedAtMs = 0 } = times;
  return lastGoodMs < plannedMs(schedule, nowMs) && failedAtMs + RETRY_AFTER_MS <= nowMs;
}

/**
 * Returns when the next backup begins: the next start of a timer, or the next time of the schedule if that is known to be
 * made, and not before a failed one is tried again; undefined if neither is there. A timer starts more often than the schedule plans.
 */
export function nextBackupMs(
  schedule: Schedule | undefined,
  timerAtMs: number | undefined,
  { lastGoodMs, failedAtMs = 0 }: Times,
  nowMs: number,
): number | undefined {
  if (schedule === undefined) return timerAtMs;
  if (lastGoodMs !== undefined && !isDue(schedule, { lastGoodMs }, nowMs)) {
    return plannedMs(schedule, nowMs, 1);
  }
  return Math.max(timerAtMs ?? nowMs, failedAtMs + RETRY_AFTER_MS);
}

/** Things that a backup needs. */
export interface Surroundings {
  /** False if the store is on a disk that is not mounted. */
  readonly isDiskThere: boolean;
  readonly isOnBattery: boolean;
  /** True if the store is reached over a network that is paid by its use. */
  readonly isMetered: boolean;
}

/** Returns the reason why a backup that is due must wait; undefined if it begins now. */
export function whyWait({ isDiskThere, isOnBattery, isMetered }: Surroundings): string | undefined {
  if (!isDiskThere) return 'the disk of the store is not there';
  if (isOnBattery) return 'this machine runs on battery';
  if (isMetered) return 'the network is metered';
  return undefined;
}

/** True if a fault is reported now: at most once a day until a backup is good. */
export function isReported({ lastGoodMs = 0, reportedAtMs = 0 }: Times, nowMs: number): boolean {
  return reportedAtMs <= lastGoodMs || reportedAtMs + REPORT_AGAIN_MS <= nowMs;
}
