/** The timer of systemd that starts the backups: its names, and when it starts the next one. */
import { spawnSync } from 'node:child_process';

/** Name of the units that `tardis setup` writes. */
export const UNIT = 'tardis-backup';
/** Timers that start backups: that of `tardis setup`, and for the whole system also that of the packages. */
const TIMERS: Readonly<Record<Scope, readonly string[]>> = {
  user: [UNIT],
  system: [UNIT, 'tardis'],
};
const PATIENCE_MS = 5000;

/** A timer of the user runs while the user is logged in, one of the system always. */
export type Scope = 'user' | 'system';

export interface BackupTimer {
  readonly scope: Scope;
  /** Name of the timer, such as `tardis-backup.timer`. */
  readonly name: string;
  /** Time at which it starts the next backup; undefined if it is not started. */
  readonly nextAtMs: number | undefined;
}

/** The result of a command of systemd; undefined if systemd is not here. */
export function systemctl(scope: Scope, words: readonly string[]): string | undefined {
  const { status, stdout, error } = spawnSync('systemctl', [`--${scope}`, ...words], {
    encoding: 'utf8',
    timeout: PATIENCE_MS,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return error === undefined && status === 0 ? stdout : undefined;
}

/** Returns the timer that starts the backups of this user or machine; undefined if there is none. */
export function backupTimer(): BackupTimer | undefined {
  for (const scope of ['user', 'system'] as const) {
    for (const unit of TIMERS[scope]) {
      const name = `${unit}.timer`;
      const listed = systemctl(scope, ['list-timers', '--all', '--output=json', name]);
      const [timer] = timersIn(listed);
      if (timer === undefined) continue;
      const nextAtMs = typeof timer.next === 'number' ? timer.next / 1000 : 0;
      return { scope, name, nextAtMs: nextAtMs > 0 ? nextAtMs : undefined };
    }
  }
  return undefined;
}

/** Parses the list of timers; empty if systemd printed something else. */
function timersIn(listed: string | undefined): { readonly next?: unknown }[] {
  try {
    const timers: unknown = JSON.parse(listed ?? '[]');
    return Array.isArray(timers) ? timers.filter((one) => typeof one === 'object' && one) : [];
  } catch {
    return []; // systemd before 250 prints a table
  }
}
