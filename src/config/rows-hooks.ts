/**
 * Settings of hooks, requests to web addresses, and mail: for a backup that begins, ends or fails, and for a client
 * that is overdue.
 */
import os from 'node:os';
import { SCHEDULES } from '../model/index.js';
import { amount, choice, type PartialTable, row, rowsFor } from './row.js';

const DAY_SECONDS = 86_400;

/**
 * Environment variables that describe the event to a hook. They are not settings. A command that a hook runs finds them
 * in its environment, so they must not be rejected as mistyped settings.
 */
export const HOOK_VARIABLES = {
  event: 'TARDIS_HOOK_EVENT',
  client: 'TARDIS_HOOK_CLIENT',
  job: 'TARDIS_HOOK_JOB',
  status: 'TARDIS_HOOK_STATUS',
  code: 'TARDIS_HOOK_CODE',
  message: 'TARDIS_HOOK_MESSAGE',
  set: 'TARDIS_HOOK_SET',
  setName: 'TARDIS_HOOK_SET_NAME',
  entries: 'TARDIS_HOOK_ENTRIES',
  scannedBytes: 'TARDIS_HOOK_SCANNED_BYTES',
  sentBytes: 'TARDIS_HOOK_SENT_BYTES',
  storedBytes: 'TARDIS_HOOK_STORED_BYTES',
  unread: 'TARDIS_HOOK_UNREAD',
  warnings: 'TARDIS_HOOK_WARNINGS',
  seconds: 'TARDIS_HOOK_SECONDS',
  lastGood: 'TARDIS_HOOK_LAST_GOOD',
  ageSeconds: 'TARDIS_HOOK_AGE_SECONDS',
  lastRestore: 'TARDIS_HOOK_LAST_RESTORE',
  advice: 'TARDIS_HOOK_ADVICE',
} as const;

export const HOOK_ROWS = rowsFor(['tardis'], 'client', {
  hookBefore: row('command', ['--hook-before <command>', 'HookBefore'], {
    help: 'command to run before the backup; if it fails, the backup does not start',
  }),
  hookAfter: row('command', ['--hook-after <command>', 'HookAfter'], {
    help: 'command to run at the end, whether the backup succeeded or not',
  }),
  hookFailure: row('command', '--hook-failure <command>', {
    tools: ['tardis', 'tardisd'],
    bothKey: 'HookFailure',
    help: 'command to run when a backup has failed',
  }),
  hookWarning: row('command', ['--hook-warning <command>', 'HookWarning'], {
    help: 'command to run when a backup is complete, but with warnings',
  }),
  hookSeconds: amount('seconds', '--hook-timeout <seconds>', [600, 0.1, 7 * DAY_SECONDS], {
    tools: ['tardis', 'tardisd'],
    bothKey: 'HookTimeout',
    help: 'seconds after which a hook is terminated and counts as failed',
  }),
  urlStart: row('text', ['--url-start <url>', 'UrlStart'], {
    isSecret: true,
    help: 'http(s) URL to request when a backup starts',
  }),
  urlSuccess: row('text', ['--url-success <url>', 'UrlSuccess'], {
    isSecret: true,
    help: 'http(s) URL to request when a backup is complete',
  }),
  urlFailure: row('text', ['--url-failure <url>', 'UrlFailure'], {
    isSecret: true,
    help: 'http(s) URL to request when a backup has failed',
  }),
  urlMethod: choice(['--url-method <method>', 'UrlMethod'], ['GET', 'POST'], {
    help: 'method of the requests of --url-start, --url-success and --url-failure: GET without data, or POST with the data of a hook as JSON',
  }),
  urlSeconds: amount('seconds', ['--url-timeout <seconds>', 'UrlTimeout'], [10, 0.1, 600], {
    help: 'seconds after which a request to a URL fails; a failed request is tried up to three times in all',
  }),
  ...rowsFor(['tardis', 'tardisd'], 'both', {
    mailTo: row('texts', ['--mail-to <address>', 'MailTo'], {
      perTool: {
        tardisd:
          'address to mail when a backup has failed or has not saved everything, or when a client is overdue; may be repeated',
      },
      help: 'address to mail when a backup has failed or has not saved everything; may be repeated',
    }),
    mailFrom: row('text', ['--mail-from <address>', 'MailFrom'], {
      default: () => `tardis@${os.hostname()}`,
      defaultText: 'tardis at the host name',
      help: 'sender address of the mail to --mail-to',
    }),
    mailCommand: row('command', ['--mail-command <command>', 'MailCommand'], {
      default: ['/usr/sbin/sendmail', '-t', '-i'],
      help: 'command that reads a mail from standard input and sends it to the addresses in its To line',
    }),
  }),
  schedule: row('choice', ['--schedule <when>', 'Schedule'], {
    choices: SCHEDULES,
    default: undefined,
    tools: ['tardis', 'sonic status'],
    help: 'when backups are planned: hourly, daily (at two in the morning) or weekly (on Sundays at two), for --if-due and `tardis status`',
  }),
  ifDue: row('bool', '--if-due', {
    help: 'back up only if a backup of Schedule is planned and not made yet, and if the disk of the store is there, the machine is not on battery and a network it needs is not metered; otherwise do nothing (exit status 0). A timer starts this often',
  }),
  onRequest: row('bool', ['--on-request', 'OnRequest'], {
    help: 'with --if-due and a tardisd: also back up if an administrator of the server requests it, at most once an hour; each run then logs in to look for a request',
  }),
  notices: row('bool', ['--[no-]notices', 'Notices'], {
    help: 'show a notice on the desktop of this user when a backup has failed or has not saved everything, and when the disk of the store may be unplugged',
  }),
  testMail: row('bool', '--test-mail', {
    help: 'send a mail and show a notice as after a failed backup, as the settings say, and do nothing else',
  }),
} as const satisfies PartialTable);
