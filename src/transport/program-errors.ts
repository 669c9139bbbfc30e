/** The errors of a connection through a program, such as `ssh`, that has ended before the server answered. */
import { fromWire, isErrorCode, TardisError } from '../errors/index.js';
import { displayText } from '../model/index.js';
import type { ProgramEnd } from '../system/index.js';

/** Exit status of ssh for an error of its own, and of a shell for a command that is not found. */
const [OF_SSH, NOT_FOUND] = [255, 127];
const MAX_SHOWN_CHARS = 300;
const SHOWN_LINES = 3;

/** Matches the line with the error that ended a tool: its message and its code. */
const REASON = /^\S+: (.*) \[([A-Z_]+)\]$/gm;

/** Messages of ssh after which it is tried again, with the code of the system for each. */
const PASSING: readonly (readonly [RegExp, string])[] = [
  [/Connection refused/i, 'ECONNREFUSED'],
  [/(Connection|Operation) timed out|Timeout, server/i, 'ETIMEDOUT'],
  [/No route to host/i, 'EHOSTUNREACH'],
  [/Host is down/i, 'EHOSTDOWN'],
  [/Network is (unreachable|down)/i, 'ENETUNREACH'],
  [/Temporary failure in name resolution/i, 'EAI_AGAIN'],
  [/Connection (reset|closed|aborted)|closed by remote host|Broken pipe/i, 'ECONNRESET'],
];

/** Messages of ssh that no further attempt changes, with what to do. */
const LASTING: readonly (readonly [RegExp, string])[] = [
  [
    /REMOTE HOST IDENTIFICATION HAS CHANGED/,
    'another machine answers, or its key was changed: compare its key before you remove the old one (ssh-keygen -R HOST)',
  ],
  [
    /Host key verification failed|authenticity of host/,
    'its key is not known to this user yet: run `ssh HOST` once in a terminal, and compare the key that it shows',
  ],
  [
    /Permission denied|Too many authentication failures/,
    'the machine does not accept the keys of this user: ssh-copy-id, and in runs without a terminal a key without a passphrase or an agent',
  ],
];

/**
 * Returns the error for a connection through any program: that of the system, if it was not started, and the last one that
 * `tardisd` has printed. `failed` makes another one. Returns undefined if the program gave no such reason.
 */
export function givenError(
  name: string,
  failed: (why: string) => TardisError,
  { notStarted, output }: ProgramEnd,
): TardisError | undefined {
  if (notStarted !== undefined) {
    const { code, path, message } = notStarted;
    const why = code === 'ENOENT' ? 'there is none on this machine' : message;
    return failed(`\`${path}\` was not started: ${why}`);
  }
  const [, message, code] = [...output.matchAll(REASON)].at(-1) ?? [];
  if (code === undefined || !isErrorCode(code)) return undefined;
  return fromWire({ code, message: `${name}: ${displayText(message!)}` });
}

/** Returns the error for a connection through ssh that failed with `error` before the server answered. */
export function sshError(name: string, error: Error, end: ProgramEnd): TardisError {
  const failed = (why: string): TardisError => {
    return new TardisError('SSH_FAILED', `cannot reach the server at ${name}: ${why}`, {}, error);
  };
  const given = givenError(name, failed, end);
  if (given !== undefined) return given;
  const { status, output } = end;
  const reason = lastLines(output);
  if (status === NOT_FOUND) {
    return failed(
      `tardisd was not found there (${reason}): install Tardis there (docs/using/packages.md), or name its path in the authorized_keys of that account: command="/PATH/tardisd --stdio"`,
    );
  }
  const printed = strayOutput(error);
  if (printed !== undefined) {
    return failed(
      `it printed "${printed}" where the answer of tardisd belongs: nothing that the shell of that account reads at its start (.bashrc, .cshrc …) may print to a command's output`,
    );
  }
  // A program that a signal has ended has no status.
  if (status === OF_SSH || status === null) return ownError(name, error, output);
  return failed(`tardisd ended there before it answered (status ${status}): ${reason}`);
}

/** Returns the error that ssh itself has printed. */
function ownError(name: string, error: Error, output: string): TardisError {
  const text = `cannot reach the server at ${name}: ${lastLines(output)}`;
  const advice = LASTING.find(([pattern]) => pattern.test(output))?.[1];
  if (advice !== undefined) return new TardisError('SSH_FAILED', `${text}; ${advice}`, {}, error);
  const found = PASSING.find(([pattern]) => pattern.test(output))?.[1];
  const cause = found ?? (output.trim() === '' ? 'ECONNRESET' : undefined);
  if (cause === undefined) return new TardisError('SSH_FAILED', text, {}, error);
  return new TardisError('SERVER_UNREACHABLE', text, { cause }, error);
}

/** Returns the last lines of messages in one line, for display. */
export function lastLines(output: string): string {
  const lines = output.split(/[\r\n]+/).filter((line) => line.trim() !== '');
  const text = lines.slice(-SHOWN_LINES).join(' / ');
  return text === '' ? 'it gave no reason' : displayText(text.slice(-MAX_SHOWN_CHARS));
}

/** Returns the beginning of what the server sent, if it was not the answer to a WebSocket's greeting. */
export function strayOutput(error: Error): string | undefined {
  const { rawPacket } = error as Error & { readonly rawPacket?: unknown };
  if (!(rawPacket instanceof Uint8Array)) return undefined;
  const [line = ''] = Buffer.from(rawPacket)
    .toString('utf8')
    .trim()
    .split(/[\r\n]+/);
  return displayText(line.slice(0, MAX_SHOWN_CHARS));
}
