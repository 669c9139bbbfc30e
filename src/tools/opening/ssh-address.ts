/** Determines the program that reaches a server by `ssh`. */
import tty from 'node:tty';
import { parseSshPlace, type SshPlace } from '../../config/index.js';
import { openProgram, type ProgramAddress } from '../../system/index.js';
import { sshError } from '../../transport/index.js';
import { hasTerminal } from '../output/terminal.js';

/**
 * Options of ssh. A backup needs no terminal there, and gives the other machine no way back to this one: neither agent
 * nor display nor forwarded ports, whatever is in the configuration of ssh.
 */
const OPTIONS = ['-T', '-a', '-x', '-o', 'ClearAllForwardings=yes'];

/**
 * Returns the address of a server that ssh reaches, ssh://[USER@]HOST[:PORT]/PLACE. Without a terminal, ssh may not
 * prompt. Throws CONFIG_INVALID.
 */
export function sshAddress(text: string, mayPrompt: boolean = isTerminalHere()): ProgramAddress {
  const place = parseSshPlace(text, '--server');
  const { user, host, port, path } = place;
  const command = [
    'ssh',
    ...OPTIONS,
    ...(mayPrompt ? [] : ['-o', 'BatchMode=yes']),
    ...(user === undefined ? [] : ['-l', user]),
    ...(port === undefined ? [] : ['-p', String(port)]),
    '--',
    host,
    // A shell on the other machine reads this text. No character that it misreads between quotes is in the path.
    path === undefined ? 'tardisd --stdio' : `tardisd --stdio --database '${path}'`,
  ];
  const name = nameOf(place);
  return {
    kind: 'program',
    name,
    mayPrompt,
    open: () => openProgram(command),
    errorOf: (error, end) => sshError(name, error, end),
  };
}

function nameOf({ user, host, port, path }: SshPlace): string {
  const shownHost = host.includes(':') ? `[${host}]` : host;
  const shownPath = path === undefined ? '' : path.replace(/^\.\//, '/~/');
  return `ssh://${user === undefined ? '' : `${user}@`}${shownHost}${port === undefined ? '' : `:${port}`}${shownPath}`;
}

/** True if this process has a terminal, on which ssh can prompt. */
function isTerminalHere(): boolean {
  return tty.isatty(0) || tty.isatty(2) || hasTerminal();
}
