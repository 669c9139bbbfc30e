/**
 * Runs hooks, calls URLs, sends mail and shows notices around a backup. Only the hook before a backup can prevent it;
 * every other failure is a warning.
 */
import type { BackupResult } from '../../client/index.js';
import { configInvalid, type Settings } from '../../config/index.js';
import { TardisError } from '../../errors/index.js';
import { clientState, countErrors, isReported, NO_FACTS } from '../../model/index.js';
import {
  callUrl,
  checkMailSettings,
  eventLines,
  type HookEvent,
  hookVariables,
  parseUrl,
  runCommand,
  sendMail,
  showNotice,
} from '../../notify/index.js';
import { nodeSystem } from '../../system/index.js';
import {
  type BackupMemory,
  isAway,
  lastGoodText,
  type Remembered,
} from '../opening/backup-memory.js';
import { failedStatus, PARTLY } from '../output/exit-status.js';
import { jsonText, print as printLine } from '../output/output.js';

/** Prints a line for the user and logs it. */
type Print = (line: string) => void;

type Urls = Readonly<Record<'start' | 'success' | 'failure', URL | undefined>>;

export class BackupEvents {
  /** Failures of hooks, URLs and mail, as messages. */
  readonly warnings: string[] = [];
  private readonly beganMs = performance.now();
  private starting: Promise<void> | undefined;
  private readonly urls: Urls;

  /** Creates the events. Throws CONFIG_INVALID if a URL or a mail setting is invalid. */
  constructor(
    private readonly settings: Settings<'tardis'>,
    private readonly memory: BackupMemory,
    private readonly print: Print,
  ) {
    const { urlStart, urlSuccess, urlFailure } = settings;
    this.urls = {
      start: urlStart === undefined ? undefined : parseUrl(urlStart, 'UrlStart'),
      success: urlSuccess === undefined ? undefined : parseUrl(urlSuccess, 'UrlSuccess'),
      failure: urlFailure === undefined ? undefined : parseUrl(urlFailure, 'UrlFailure'),
    };
    checkMailSettings(settings);
  }

  /**
   * Requests the URL for the start without waiting for its answer, and runs the hook before the backup. Throws
   * HOOK_FAILED if the hook fails; the backup must not begin then.
   */
  async begin(signal: AbortSignal): Promise<void> {
    this.starting = this.call('start', this.event('start')); // it runs while the backup begins
    const { hookBefore } = this.settings;
    if (hookBefore === undefined) return;
    const why = await this.run('before', hookBefore, this.event('before'), signal);
    if (why !== undefined)
      throw new TardisError('HOOK_FAILED', `the hook before the backup failed: ${why}`);
  }

  /** Runs the events for a complete set; `isWhole`: of all that the configuration has. Never throws. */
  async done(result: BackupResult, status: number, isWhole: boolean): Promise<void> {
    const { progress, doubts } = result;
    const counts = {
      status,
      set: result.set,
      setName: result.setName,
      entries: progress.entries,
      scannedBytes: progress.scannedBytes,
      sentBytes: progress.sentBytes,
      storedBytes: result.storedBytes,
      unread: countErrors(progress),
      warnings: doubts.length + this.warnings.length,
    };
    const nowMs = Date.now();
    // Without one of its roots, a backup is tried again as after a failure.
    const end = result.missing === 0 ? { lastGoodMs: nowMs } : { failedAtMs: nowMs };
    const why = this.memory.note({ seenAtMs: nowMs, ...(isWhole && end) });
    if (why !== undefined) this.warn(`the time of this backup is not remembered: ${why}`);
    const { hookWarning } = this.settings;
    if (status !== 0 || counts.warnings > 0) {
      await this.runLate('warning', hookWarning, this.event('warning', counts));
    }
    await this.runLate('after', this.settings.hookAfter, this.event('after', counts));
    await this.starting;
    const event = this.event('success', counts);
    await this.call('success', event);
    await this.noticeOfDisk(event);
    if (status === 0) return;
    const { unread } = counts;
    const { set: newestSet } = result;
    const facts = { newestSet, newestAtMs: nowMs, unread, isDoubtful: result.lost !== undefined };
    const { state, reason, advice } = clientState({ ...NO_FACTS, ...facts }, nowMs);
    const what = state === 'good' ? 'The log has the reason.' : reason;
    await this.report({ ...event, advice }, 'has not saved everything', [what]);
  }

  /**
   * Runs the events for a backup without a complete set. With --if-due, one that only has to wait is reported when it is
   * overdue. Never throws.
   */
  async failed(error: TardisError): Promise<void> {
    const { code, message, row } = error;
    const { hookFailure, hookAfter } = this.settings;
    const mustWait = this.settings.ifDue && hasToWait(error);
    const known = this.memory.read();
    const nowMs = Date.now();
    const what = {
      status: failedStatus(row.exitStatus),
      code,
      message,
      ...lastGoodOf(known, nowMs, error),
    };
    const event = this.event('failure', what);
    if (!mustWait) {
      this.memory.note({ failedAtMs: nowMs });
      await this.runLate('failure', hookFailure, event);
    }
    await this.runLate('after', hookAfter, this.event('after', what));
    await this.starting;
    if (mustWait) {
      for (const why of await reportLate(this.settings, this.memory, message)) this.warn(why);
      return;
    }
    await this.call('failure', event);
    if (this.settings.ifDue && !isReported(known, nowMs)) return;
    await this.report(event, `has failed [${code}]`, [message, lastGoodText(known, nowMs)]);
    this.memory.note({ reportedAtMs: nowMs });
  }

  private event(event: HookEvent['event'], what: Partial<HookEvent> = {}): HookEvent {
    const { client, job } = this.settings;
    const seconds = Math.round(performance.now() - this.beganMs) / 1000;
    const { restoredMs } = this.memory.read();
    const lastRestore = restoredMs === undefined ? undefined : new Date(restoredMs).toISOString();
    return { event, client, job, lastRestore, ...what, seconds };
  }

  private async runLate(
    name: string,
    command: readonly string[] | undefined,
    event: HookEvent,
  ): Promise<void> {
    if (command === undefined) return;
    // No signal is passed, since a hook that cleans up is most needed after an interruption.
    const why = await this.run(name, command, event);
    if (why !== undefined) this.warn(`the hook "${name}" failed: ${why}`);
  }

  private run(
    name: string,
    command: readonly string[],
    event: HookEvent,
    signal?: AbortSignal,
  ): Promise<string | undefined> {
    return runCommand(command, {
      timeoutMs: this.settings.hookSeconds * 1000,
      variables: hookVariables(event),
      ...(signal === undefined ? {} : { signal }),
      onLine: (line) => this.print(`hook ${name}: ${line}`),
    });
  }

  /** Shows that the disk of the store is no longer needed, if it is one that comes and goes. */
  private async noticeOfDisk({ client, set }: HookEvent): Promise<void> {
    const { disk } = this.memory;
    if (disk === undefined || !this.settings.notices) return;
    const lines = [`Set ${set} is on ${disk}. The disk may be ejected and unplugged.`];
    const summary = `tardis: the backup of ${client} is done`;
    const why = await showNotice({ summary, lines, isUrgent: false });
    if (why !== undefined) this.warn(why);
  }

  private async call(which: keyof Urls, event: HookEvent): Promise<void> {
    const url = this.urls[which];
    if (url === undefined) return;
    const { urlMethod, urlSeconds } = this.settings;
    const timeoutMs = urlSeconds * 1000;
    const body = JSON.stringify(event);
    const why = await callUrl(url, { system: nodeSystem(), method: urlMethod, body, timeoutMs });
    if (why !== undefined) this.warn(why);
  }

  /** Sends a mail and shows a notice, as far as the settings want them. */
  private async report(event: HookEvent, outcome: string, first: readonly string[]): Promise<void> {
    const { client, advice = '' } = event;
    const head = advice === '' ? first : [...first, `What to do: ${advice}`];
    const subject = `tardis: the backup of ${client} ${outcome}`;
    const report = { subject, head, facts: eventLines(event), isUrgent: event.status !== PARTLY };
    for (const why of await sendReport(this.settings, report)) this.warn(why);
  }

  private warn(text: string): void {
    this.warnings.push(text);
    this.print(text);
  }
}

/** True if a backup failed only since its store, or its turn, has not come yet. */
export function hasToWait({ code, row }: TardisError): boolean {
  return isAway(code) || code === 'INTERRUPTED' || row.kind === 'busy';
}

/** Prints why a backup that is due does not begin now. */
export function printWait({ json }: Pick<Settings<'tardis'>, 'json'>, why: string): void {
  if (!json) printLine(`The backup is due and waits: ${why}.`);
}

/** Returns the fields of an event that are about the last good backup, and the advice. */
function lastGoodOf(
  { lastGoodMs }: Remembered,
  nowMs: number,
  { code, message }: Pick<TardisError, 'code' | 'message'>,
): Pick<HookEvent, 'lastGood' | 'ageSeconds' | 'advice'> {
  const ageMs = lastGoodMs === undefined ? undefined : Math.max(0, nowMs - lastGoodMs);
  const failure = { failedAtMs: nowMs, failureCode: code, failure: message };
  const { advice } = clientState(
    { ...NO_FACTS, ...(isAway(code) ? { fault: message } : failure) },
    nowMs,
  );
  if (lastGoodMs === undefined || ageMs === undefined) return { advice };
  const lastGood = new Date(lastGoodMs).toISOString();
  return { advice, lastGood, ageSeconds: Math.round(ageMs / 1000) };
}

/**
 * Reports a backup that has to wait, if it is overdue and that was not reported today. Returns the reasons of reports
 * that failed.
 */
export async function reportLate(
  settings: Settings<'tardis'>,
  memory: BackupMemory,
  reason: string,
): Promise<string[]> {
  const known = memory.read();
  const { client, overdueSeconds } = settings;
  const nowMs = Date.now();
  const ageMs = nowMs - (known.lastGoodMs ?? nowMs);
  const isLate = overdueSeconds > 0 && ageMs >= overdueSeconds * 1000;
  if (!isLate || !isReported(known, nowMs)) return [];
  memory.note({ reportedAtMs: nowMs });
  const { advice } = clientState({ ...NO_FACTS, fault: reason }, nowMs);
  return sendReport(settings, {
    subject: `tardis: the backup of ${client} is overdue`,
    head: [`It waits: ${reason}.`, lastGoodText(known, nowMs), `What to do: ${advice}`],
    facts: [],
    isUrgent: true,
  });
}

interface Report {
  readonly subject: string;
  /** Sentences for the user. */
  readonly head: readonly string[];
  /** More lines of the mail. */
  readonly facts: readonly string[];
  readonly isUrgent: boolean;
}

/** Sends a report in each way that the settings name. Returns the reasons of those that failed. */
async function sendReport(
  settings: Settings<'tardis'>,
  { subject, head, facts, isUrgent }: Report,
): Promise<string[]> {
  const { mailTo, notices } = settings;
  const lines = [...head, '', ...facts];
  const done = [
    mailTo.length > 0 && (await sendMail(settings, { subject, lines, dateMs: Date.now() })),
    notices && (await showNotice({ summary: subject, lines: head, isUrgent })),
  ];
  return done.filter((why) => typeof why === 'string');
}

/** Sends a report as a test. Throws CONFIG_INVALID if the settings name nobody, and REPORT_FAILED. */
export async function testReport(settings: Settings<'tardis'>): Promise<void> {
  const { mailTo, mailCommand, notices, client, json } = settings;
  checkMailSettings(settings);
  if (mailTo.length === 0 && !notices) {
    throw configInvalid('there is nobody to report to: set MailTo or Notices');
  }
  const head = ['This is a test: a failed backup is reported like this.'];
  const subject = `tardis: a test for the backup of ${client}`;
  const why = await sendReport(settings, { subject, head, facts: [], isUrgent: false });
  if (why.length > 0) throw new TardisError('REPORT_FAILED', why.join('; '));
  if (json) printLine(jsonText({ mailTo, notices }));
  else {
    if (mailTo.length > 0) printLine(`${mailCommand[0]} took a mail to ${mailTo.join(', ')}`);
    if (notices) printLine('The desktop took a notice.');
  }
}
