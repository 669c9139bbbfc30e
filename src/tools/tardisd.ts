/** `tardisd`: the server. */
import { Command } from 'commander';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { destination, pino } from 'pino';
import { resolveOptions, SERVER_OPTIONS } from '../config/index.js';
import { TardisError } from '../errors/index.js';
import { Daemon, ThreadStorageHost } from '../server/index.js';
import { type Address, nodeSystem } from '../system/index.js';
import { describeTool, runTool } from './run-tool.js';

interface TardisdOptions {
  readonly config?: string;
  readonly database?: string;
  readonly client?: string;
  readonly port?: string;
  readonly local?: string;
  readonly single?: boolean;
  readonly insecureTcp?: boolean;
  readonly allowNewHosts?: boolean;
  readonly logfile?: string;
  readonly verbose: number;
}

const count = (_value: string, previous: number): number => previous + 1;
const LEVELS = ['error', 'info', 'debug', 'trace'];
/** The descriptor on which a parent (`tardis --local`) waits for us, and by which we watch it. */
const PARENT_FD = 3;

function program(): Command {
  const command = describeTool(new Command(), 'tardisd', 'Serves a tardis store to clients.');
  command
    .option('--config <file>', 'configuration file (section [Tardis])')
    .option('-D, --database <dir>', 'directory of the store (BaseDir)')
    .option('-C, --client <name>', 'serve this client only')
    .option('--port <n>', 'TCP port to listen on (Port)')
    .option('--local <socket>', 'listen on a unix socket instead (Local)')
    .option('--single', 'serve one session, then exit (Single)')
    .option('--insecure-tcp', 'allow plain TCP, on loopback only (until login exists)')
    .option('--allow-new-hosts', 'let sessions create their client (AllowNewHosts)')
    .option('--logfile <file>', 'log there instead of standard error (LogFile)')
    .option('-v, --verbose', 'log more; may be given again (Verbose)', count, 0);
  command.addHelpText(
    'after',
    `
Examples:
  tardisd -D /srv/tardis --port 7420 --insecure-tcp
  tardisd --config /etc/tardis/tardisd.cfg --local /run/tardisd.sock

SIGTERM and SIGINT end every session at a checkpoint; the clients may continue later.`,
  );
  return command.action(async (options: TardisdOptions) => {
    await serve(options);
  });
}

async function serve(options: TardisdOptions): Promise<void> {
  const settings = resolveOptions(SERVER_OPTIONS, {
    environment: process.env,
    configFile: options.config ?? defaultConfig(options),
    commandLine: {
      baseDir: options.database,
      port: options.port,
      local: options.local,
      single: options.single,
      allowNewHosts: options.allowNewHosts,
      logFile: options.logfile,
      verbose: options.verbose > 0 ? String(options.verbose) : undefined,
    },
  });
  const log = pino(
    { level: LEVELS[Math.min(settings.verbose, 3)] ?? 'error', base: null },
    destination({ dest: settings.logFile === '' ? 2 : settings.logFile, sync: true }),
  );
  const system = nodeSystem();
  const storage = new ThreadStorageHost(settings.storageThreads);
  let daemon: Daemon;
  try {
    daemon = await Daemon.start(
      system,
      storage,
      {
        address: listenAddress(settings.local, settings.port, options.insecureTcp === true),
        baseDir: path.resolve(settings.baseDir),
        catalogFile: settings.catalogFile,
        allowCreate: settings.allowNewHosts || settings.local !== '',
        onlyClient: options.client,
        creditBytes: settings.creditBytes,
        timeoutMs: settings.timeoutSeconds * 1000,
        single: settings.single,
        storageOptions: {
          store: { packBytes: settings.packBytes, packContentBytes: settings.packContentBytes },
          checkpoint: {
            bytes: settings.checkpointBytes,
            entries: settings.checkpointEntries,
            intervalMs: settings.checkpointSeconds * 1000,
          },
        },
      },
      log,
    );
  } catch (error) {
    await storage.close();
    throw error;
  }
  const stop = (): void => {
    daemon.stop().catch((error: unknown) => {
      log.error({ err: error }, 'stopping failed');
      process.exit(1);
    });
  };
  process.on('SIGTERM', stop);
  if (!tellParent(settings.local, stop)) process.on('SIGINT', stop);
  await daemon.stopped;
}

/** Without --config the usual file is read if it is there. */
function defaultConfig(options: TardisdOptions): string | undefined {
  if (options.local !== undefined) return undefined;
  const usual = process.env['TARDIS_DAEMON_CONFIG'] ?? '/etc/tardis/tardisd.cfg';
  const isNamed = process.env['TARDIS_DAEMON_CONFIG'] !== undefined;
  return isNamed || fs.existsSync(usual) ? usual : undefined;
}

function listenAddress(local: string, port: number, insecureTcp: boolean): Address {
  if (local !== '') return { kind: 'unix', path: path.resolve(local) };
  if (!insecureTcp) {
    throw new TardisError('INSECURE_TCP_REFUSED', 'refusing to listen on plain TCP');
  }
  return { kind: 'tcp', host: '127.0.0.1', port };
}

/**
 * Tells a parent that we listen, and stops when it is gone. A child of `tardis --local` also leaves
 * SIGINT to its parent: Ctrl-C reaches both, and the client ends the session in order.
 */
function tellParent(local: string, stop: () => void): boolean {
  if (local === '' || !isPipe(PARENT_FD)) return false;
  try {
    fs.writeSync(PARENT_FD, '1');
  } catch {
    stop(); // the parent is gone already
    return true;
  }
  const watch = new net.Socket({ fd: PARENT_FD });
  watch.on('close', stop).on('error', stop).resume().unref();
  process.on('SIGINT', () => undefined);
  return true;
}

function isPipe(fd: number): boolean {
  try {
    const stat = fs.fstatSync(fd);
    return stat.isFIFO() || stat.isSocket();
  } catch {
    return false; // not open: nobody waits there
  }
}

await runTool(program(), process.argv);
