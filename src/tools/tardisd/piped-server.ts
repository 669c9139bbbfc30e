/** A server on its standard input and output, which `ssh` or `tardis --local` starts for one session (`--stdio`). */
import fs from 'node:fs';
import net from 'node:net';
import type { Settings } from '../../config/index.js';
import { usageError } from '../../errors/index.js';
import { JoinedPipes } from '../../system/index.js';
import type { PipedPlace } from '../../transport/index.js';

const [INPUT, OUTPUT] = [0, 1];

/**
 * Returns the settings of such a server. It shares the configuration of the service of its machine, but not what only one
 * process can have: its port, PidFile, log, background and user (only root can become that one). It logs to standard error, which is
 * the terminal of the client, unless the command line names a file.
 */
export function pipedSettings(settings: Settings<'tardisd'>): Settings<'tardisd'> {
  if (settings.localSocket !== undefined) {
    throw usageError('--stdio excludes --local');
  }
  const isLogNamed = settings.sources.get('logFile')?.source === 'command line';
  const { user, group, logFile } = settings;
  return {
    ...settings,
    ...(process.geteuid!() === 0 ? { user, group } : { user: undefined, group: undefined }),
    logFile: isLogNamed ? logFile : undefined,
    single: true,
    pidFile: undefined,
    daemon: false,
    ssl: undefined,
    remote: false,
  };
}

/** Returns standard input and output as one socket. Throws USAGE if they are no pipes or sockets. */
export function pipedPlace(): PipedPlace {
  if (!isPipe(INPUT) || !isPipe(OUTPUT)) {
    const what = '--stdio is for ssh, which connects standard input and output with a client';
    throw usageError(`${what}: --server ssh://HOST/PLACE of a client starts it`);
  }
  // `process.stdout` would wait for a slow reader in its write calls.
  const input = new net.Socket({ fd: INPUT, readable: true, writable: false });
  const output = new net.Socket({ fd: OUTPUT, readable: false, writable: true });
  return { kind: 'piped', socket: new JoinedPipes(input, output) };
}

/** True if a descriptor is a pipe or a socket. */
function isPipe(fd: number): boolean {
  try {
    const stat = fs.fstatSync(fd);
    return stat.isFIFO() || stat.isSocket();
  } catch {
    return false; // the descriptor is not open
  }
}
