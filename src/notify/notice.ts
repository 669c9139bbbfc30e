/**
 * Shows notices on the desktop of this user: calls `Notify` of org.freedesktop.Notifications on the session bus. The
 * client of the bus is `busctl`, which each system with systemd has.
 */
import { displayText } from '../model/index.js';
import { runCommand } from './run-command.js';

const NOTICE_TIMEOUT_MS = 15_000;
const MAX_TEXT_CHARS = 1000;
const SERVICE = [
  'org.freedesktop.Notifications',
  '/org/freedesktop/Notifications',
  'org.freedesktop.Notifications',
];
/** Types of the parameters of `Notify`: program, replaced notice, icon, summary, body, actions, hints, duration. */
const SIGNATURE = 'susssasa{sv}i';

export interface Notice {
  readonly summary: string;
  readonly lines: readonly string[];
  /** True if it stays on the desktop until the user closes it. */
  readonly isUrgent: boolean;
}

/** Shows a notice. Returns the reason of a failure as text; undefined if the desktop took it. Never throws. */
export async function showNotice({
  summary,
  lines,
  isUrgent,
}: Notice): Promise<string | undefined> {
  const text = shown(lines.join('\n')).replaceAll('&', '&amp;').replaceAll('<', '&lt;'); // a body has markup
  const notice = ['tardis', '0', 'drive-harddisk', shown(summary), text];
  const hints = ['1', 'urgency', 'y', isUrgent ? '2' : '1']; // critical, or normal
  const why = await call('Notify', [SIGNATURE, ...notice, '0', ...hints, '-1']);
  return why === undefined ? undefined : `no notice was shown on the desktop: ${why}`;
}

/** True if a desktop of this user shows notices. */
export async function hasDesktop(): Promise<boolean> {
  return (await call('GetServerInformation', [])) === undefined;
}

function call(method: string, words: readonly string[]): Promise<string | undefined> {
  const command = ['busctl', '--user', '--timeout=10', '--', 'call', ...SERVICE, method, ...words];
  return runCommand(command, { timeoutMs: NOTICE_TIMEOUT_MS });
}

function shown(text: string): string {
  return displayText(text.slice(0, MAX_TEXT_CHARS));
}
