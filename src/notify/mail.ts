/**
 * Sends mail to an operator through the machine's own mail command (`sendmail -t`), which is configured with
 * the route and its secrets.
 */
import { randomUUID } from 'node:crypto';
import { configInvalid } from '../config/index.js';
import { displayLine } from '../model/index.js';
import { runCommand } from './run-command.js';

const MAIL_TIMEOUT_MS = 60_000;
/** Maximum length of a line, in bytes, that every mail server accepts; RFC 5322 allows 998. */
const MAX_LINE_BYTES = 900;
const MAX_SUBJECT_CHARS = 200;
/**
 * Matches a single mail address. Rejects lists, and a leading `-`, which the mail command would take as an option.
 */
const ADDRESS = /^[A-Za-z0-9_.+=!#$%&'*/?^`{|}~][^\s,;:<>()"\\]*$/;

export interface MailSettings {
  readonly mailTo: readonly string[];
  readonly mailFrom: string;
  readonly mailCommand: readonly string[];
}

interface Mail {
  readonly subject: string;
  readonly lines: readonly string[];
  readonly dateMs: number;
}

/**
 * Throws CONFIG_INVALID if an address is invalid or the mail command is empty. Without a recipient, nothing is checked.
 */
export function checkMailSettings({ mailTo, mailFrom, mailCommand }: MailSettings): void {
  if (mailTo.length === 0) return;
  for (const [what, address] of [
    ...mailTo.map((to) => ['MailTo', to] as const),
    ['MailFrom', mailFrom] as const,
  ]) {
    if (ADDRESS.test(address)) continue;
    const shown = displayLine(address.slice(0, 80));
    throw configInvalid(`${what}: "${shown}" is not a mail address`);
  }
  if (mailCommand.length === 0) throw configInvalid('MailCommand is empty');
}

/**
 * Sends a mail. Returns the reason of a failure as text; undefined if the command accepted the mail. Never throws.
 */
export async function sendMail(settings: MailSettings, mail: Mail): Promise<string | undefined> {
  const input = mailText(settings, mail);
  const why = await runCommand(settings.mailCommand, { timeoutMs: MAIL_TIMEOUT_MS, input });
  return why === undefined ? undefined : `${settings.mailCommand[0]} could not send mail: ${why}`;
}

/** Returns the mail in the format of RFC 5322, but with plain line feeds, as expected by a mail command. */
export function mailText({ mailTo, mailFrom }: MailSettings, mail: Mail): string {
  const head = [
    `From: ${mailFrom}`,
    `To: ${mailTo.join(', ')}`,
    `Subject: ${headerText(mail.subject)}`,
    `Date: ${mailDate(mail.dateMs)}`,
    `Message-ID: <${randomUUID()}@tardis.invalid>`,
    'Auto-Submitted: auto-generated',
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: 8bit',
  ];
  const body = mail.lines.flatMap((line) => folded(displayLine(line)));
  return `${[...head, '', ...body].join('\n')}\n`;
}

/**
 * Returns the first characters of a text (`MAX_SUBJECT_CHARS`) as the value of a header. If they are not ASCII, it
 * consists of encoded words of RFC 2047, one on each line.
 */
function headerText(text: string): string {
  const line = displayLine(Array.from(text).slice(0, MAX_SUBJECT_CHARS).join(''));
  if (/^[\x20-\x7e]*$/.test(line)) return line;
  // 11 characters of 4 bytes are a word of 72; RFC 2047 allows 75.
  const words = [...line.matchAll(/.{1,11}/gsu)].map(
    ([part]) => `=?utf-8?B?${Buffer.from(part).toString('base64')}?=`,
  );
  return words.join('\n ');
}

function mailDate(dateMs: number): string {
  return new Date(dateMs).toUTCString().replace('GMT', '+0000');
}

function folded(line: string): string[] {
  const parts: string[] = [];
  let part = '';
  let bytes = 0;
  for (const character of line) {
    const size = Buffer.byteLength(character);
    if (bytes + size > MAX_LINE_BYTES) {
      parts.push(part);
      [part, bytes] = ['', 0];
    }
    part += character;
    bytes += size;
  }
  return [...parts, part];
}
