/**
 * Runs hooks, calls URLs and sends mail around a backup. Only the hook before a backup can prevent it; every other
 * failure is a warning.
 */
import type { BackupResult } from '../../client/index.js';
import type { Settings } from '../../config/index.js';
import { TardisError } from '../../errors/index.js';
import { countErrors } from '../../model/index.js';
import {
  callUrl,
  checkMailSettings,
  eventLines,
  type HookEvent,
  hookVariables,
  parseUrl,
  runCommand,
  sendMail,
} from '../../notify/index.js';
import { nodeSystem } from '../../system/index.js';

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

  /** Runs the events for a complete set. Never throws. */
  async done(result: BackupResult, status: number): Promise<void> {
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
    const { hookWarning } = this.settings;
    if (status !== 0 || counts.warnings > 0) {
      await this.runLate('warning', hookWarning, this.event('warning', counts));
    }
    await this.runLate('after', this.settings.hookAfter, this.event('after', counts));
    await this.starting;
    const event = this.event('success', counts);
    await this.call('success', event);
    if (status !== 0) await this.mail(event, 'has not saved everything');
  }

  /** Runs the events for a backup without a complete set. Never throws. */
  async failed({ code, message, row }: TardisError): Promise<void> {
    const what = { status: row.exitStatus, code, message };
    const event = this.event('failure', what);
    await this.runLate('failure', this.settings.hookFailure, event);
    await this.runLate('after', this.settings.hookAfter, this.event('after', what));
    await this.starting;
    await this.call('failure', event);
    await this.mail(event, `has failed [${code}]`);
  }

  private event(event: HookEvent['event'], what: Partial<HookEvent> = {}): HookEvent {
    const { client, job } = this.settings;
    const seconds = Math.round(performance.now() - this.beganMs) / 1000;
    return { event, client, job, ...what, seconds };
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

  private async call(which: keyof Urls, event: HookEvent): Promise<void> {
    const url = this.urls[which];
    if (url === undefined) return;
    const { urlMethod, urlSeconds } = this.settings;
    const timeoutMs = urlSeconds * 1000;
    const body = JSON.stringify(event);
    const why = await callUrl(url, { system: nodeSystem(), method: urlMethod, body, timeoutMs });
    if (why !== undefined) this.warn(why);
  }

  private async mail(event: HookEvent, outcome: string): Promise<void> {
    if (this.settings.mailTo.length === 0) return;
    const why = await sendMail(this.settings, {
      subject: `tardis: the backup of ${event.client} ${outcome}`,
      lines: [event.message ?? 'The log lists each file.', '', ...eventLines(event)],
      dateMs: Date.now(),
    });
    if (why !== undefined) this.warn(why);
  }

  private warn(text: string): void {
    this.warnings.push(text);
    this.print(text);
  }
}
