/** Alerts for the operator: in the log, by hook commands and by mail. Failures of hooks and mail are logged. */
import type { Logger } from 'pino';
import {
  type HookEvent,
  hookVariables,
  type MailSettings,
  runCommand,
  sendMail,
} from '../../notify/index.js';

export interface NoticeSettings extends MailSettings {
  readonly hookFailure: readonly string[] | undefined;
  readonly hookOverdue: readonly string[] | undefined;
  readonly hookTimeoutMs: number;
}

export class Notices {
  private readonly interruption = new AbortController();

  constructor(
    private readonly settings: NoticeSettings,
    private readonly log: Logger,
  ) {}

  /** Stops a running hook; no further hooks are run. */
  stop(): void {
    this.interruption.abort();
  }

  async failed(event: HookEvent, nowMs: number): Promise<void> {
    const { client, code, message, lastGood } = event;
    this.log.error({ client, code, reason: message, lastGood }, 'a backup has failed');
    await this.run(this.settings.hookFailure, event);
    await this.mail(`tardisd: the backup of ${client} has failed`, [lineOf(event)], nowMs);
  }

  /** Reports clients that can no longer be seen: runs the hook for each of them, and sends one mail about all of them. */
  async unseen(events: readonly HookEvent[], nowMs: number): Promise<void> {
    for (const event of events) {
      const { client, code, message, lastGood } = event;
      this.log.error({ client, code, reason: message, lastGood }, 'a client can no longer be seen');
      await this.run(this.settings.hookFailure, event);
    }
    const [first, second] = events;
    if (first === undefined) return;
    const which = second === undefined ? first.client : `${events.length} clients`;
    await this.mail(`tardisd: ${which} can no longer be seen`, events.map(lineOf), nowMs);
  }

  /** Reports overdue clients: runs the hook for each of them, and sends one mail about all of them. */
  async overdue(events: readonly HookEvent[], nowMs: number): Promise<void> {
    for (const event of events) {
      const { client, lastGood, ageSeconds } = event;
      this.log.error({ client, lastGood, ageSeconds }, 'overdue');
      await this.run(this.settings.hookOverdue, event);
    }
    const [first, second] = events;
    if (first === undefined) return;
    const overdueClients =
      second === undefined ? `the backup of ${first.client} is` : `${events.length} backups are`;
    await this.mail(`tardisd: ${overdueClients} overdue`, events.map(lineOf), nowMs);
  }

  /** Reports a certificate that clients refuse, or will refuse soon. */
  async certificate(fault: string, until: string, nowMs: number): Promise<void> {
    const advice = `It is valid until ${until}. Renew its files; the server takes them within a minute, or at a SIGHUP.`;
    await this.mail(`tardisd: ${fault}`, [advice], nowMs);
  }

  private async run(command: readonly string[] | undefined, event: HookEvent): Promise<void> {
    if (command === undefined) return;
    const { client, event: hook } = event;
    const why = await runCommand(command, {
      timeoutMs: this.settings.hookTimeoutMs,
      variables: hookVariables(event),
      signal: this.interruption.signal,
      onLine: (line) => this.log.info({ client, hook, line }, 'a hook printed'),
    });
    if (why !== undefined) this.log.error({ client, hook, reason: why }, 'a hook has failed');
  }

  private async mail(subject: string, lines: readonly string[], dateMs: number): Promise<void> {
    if (this.settings.mailTo.length === 0) return;
    const why = await sendMail(this.settings, { subject, lines, dateMs });
    if (why !== undefined) this.log.error({ reason: why }, 'no mail was sent');
  }
}

function lineOf({ client, code, message, lastGood, lastRestore, advice = '' }: HookEvent): string {
  const what = message === undefined ? '' : ` ${message}${code === undefined ? '' : ` [${code}]`}.`;
  const last =
    lastGood === undefined
      ? 'There is no complete set.'
      : `The last complete set is of ${lastGood}.`;
  const proof = lastRestore === undefined ? '' : ` Files were last restored at ${lastRestore}.`;
  return `${client}:${what} ${last}${proof}${advice === '' ? '' : ` What to do: ${advice}`}`;
}
