/** The files of a backup that `--stdin`, `--source` and the section [Sources] request. */
import type { StreamSource } from '../../client/index.js';
import type { Settings } from '../../config/index.js';
import { TardisError, usageError } from '../../errors/index.js';
import { runCommand, TakenStream } from '../../notify/index.js';
import { idsOf } from '../../system/index.js';
import { commandsOf } from '../shared/configured.js';

/**
 * Variables of a command that runs as another user. The others may be secrets of root, and setpriv adds those that
 * belong to the user.
 */
const PASSED_VARIABLES = ['PATH', 'LANG', 'LC_ALL', 'TZ'];

/**
 * Returns the streams of a backup. `print` gets each line that a command writes to its standard error. Throws USAGE if
 * standard input is a terminal, and CONFIG_INVALID for a user that cannot run a command.
 */
export function streamSources(
  settings: Settings<'tardis'>,
  print: (line: string) => void,
): StreamSource[] {
  const { stdin, commandSeconds } = settings;
  const streams = commandsOf(settings).map((one): StreamSource => {
    const { name, command, user, timeoutSeconds = commandSeconds } = one;
    const { words, variables, ...owner } = runAs(name, command, user);
    return {
      name: Buffer.from(name),
      ...owner,
      read: (take, signal) =>
        runCommand(words, {
          timeoutMs: timeoutSeconds * 1000,
          signal,
          take,
          environment: variables,
          onLine: (line) => print(`source ${name}: ${line}`),
        }),
    };
  });
  return stdin === undefined ? streams : [standardInput(stdin), ...streams];
}

interface RunAs {
  readonly words: readonly string[];
  readonly uid: number;
  readonly gid: number;
  /** The whole environment; undefined for that of this process. */
  readonly variables: Record<string, string> | undefined;
}

/** Returns how a command runs as a user: by setpriv, which sets user, groups and environment before it runs it. */
function runAs(name: string, command: readonly string[], user: string | undefined): RunAs {
  const own = { uid: process.geteuid!(), gid: process.getegid!() };
  if (user === undefined) return { words: command, ...own, variables: undefined };
  const refused = (why: string): TardisError =>
    new TardisError('CONFIG_INVALID', `source ${name}: cannot run it as ${user}: ${why}`);
  if (own.uid !== 0) throw refused('only root can do that');
  let ids: number[];
  try {
    ids = [...idsOf(user, '-u'), ...idsOf(user, '-g')];
  } catch (error) {
    throw refused(error instanceof Error ? error.message.trim().split('\n').at(-1)! : '');
  }
  const [uid = 0, gid = 0] = ids;
  const become = ['setpriv', `--reuid=${user}`, `--regid=${gid}`, '--init-groups', '--reset-env'];
  const { env } = process;
  const passed = PASSED_VARIABLES.flatMap((key) =>
    env[key] === undefined ? [] : [[key, env[key]]],
  );
  return { words: [...become, '--', ...command], uid, gid, variables: Object.fromEntries(passed) };
}

/** Returns standard input as a stream. It can be read once, so a session that is started over lacks it. */
function standardInput(name: string): StreamSource {
  if (process.stdin.isTTY) {
    throw usageError('--stdin reads a pipe or a file, and standard input is a terminal');
  }
  let isRead = false;
  return {
    name: Buffer.from(name),
    uid: process.geteuid!(),
    gid: process.getegid!(),
    read: async (take, signal) => {
      if (isRead) return 'standard input was read before the session was started over';
      isRead = true;
      const taken = new TakenStream(process.stdin, take);
      const stop = (): void => taken.stop();
      signal.addEventListener('abort', stop, { once: true });
      try {
        await taken.end;
        return taken.isWhole ? undefined : 'standard input could not be read';
      } finally {
        signal.removeEventListener('abort', stop);
      }
    },
  };
}
