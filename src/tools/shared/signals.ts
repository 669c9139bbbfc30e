/** Selects the signals that end a command. */
import { messageLine } from '../output/command-names.js';
import { interruptedBy } from '../output/exit-status.js';
import { printAbove } from '../output/progress-line.js';

/** Environment variable that the launcher sets, since Node does not report which signals were ignored at its start. */
const HANGUP_VARIABLE = 'TARDIS_HANGUP';

/** True if SIGHUP was ignored when the command was started, as nohup does. It then stays ignored. */
function ignoresHangup(): boolean {
  return process.env[HANGUP_VARIABLE] === 'ignored';
}

/** Prevents SIGHUP from ending the process, if it was ignored at the start. */
export function keepHangupIgnored(): void {
  if (ignoresHangup()) process.on('SIGHUP', () => undefined);
}

/** Calls `work` at each SIGHUP, which then does not end the process. It is for servers. */
export function atHangup(work: () => Promise<void> | undefined): void {
  process.on('SIGHUP', () => void work());
}

/**
 * Returns the signals that end a command. SIGHUP (a closed terminal) is one of them unless it was ignored at the
 * start.
 */
export function endingSignals<S extends NodeJS.Signals>(...others: S[]): (S | 'SIGHUP')[] {
  return ignoresHangup() ? others : [...others, 'SIGHUP'];
}

/**
 * Returns a signal that aborts at the first SIGINT, SIGTERM or SIGHUP. (SIGHUP is sent when the terminal is closed; if
 * it was ignored at the start, it stays ignored.) The command then ends in order, and the phrase `then` is printed,
 * which describes the result. A second signal ends the process at once. The exit status is that of the last signal, as in
 * a shell.
 */
export function interruptSignal(name: string, then: string): AbortSignal {
  const controller = new AbortController();
  for (const signal of endingSignals('SIGINT', 'SIGTERM')) {
    process.on(signal, () => {
      const status = interruptedBy(signal);
      if (controller.signal.aborted) process.exit(status);
      printAbove(messageLine(name, `stopping cleanly (interrupt again to stop at once); ${then}`));
      controller.abort();
    });
  }
  return controller.signal;
}
