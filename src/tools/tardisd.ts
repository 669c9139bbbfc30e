/** `tardisd`: the server. */
import fs from 'node:fs';
import net from 'node:net';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { destination, type Logger, pino } from 'pino';
import { configInvalid, type Settings } from '../config/index.js';
import { systemCode, TardisError } from '../errors/index.js';
import { displayName } from '../model/index.js';
import {
  Daemon,
  type DaemonOptions,
  InlineStorageHost,
  PROFILES_DIRECTORY,
  readCertificate,
  type SideWorkFailed,
  ThreadStorageHost,
} from '../server/index.js';
import { type FormatWords, formatsOf, type RuleWords, serverRules } from '../retention/index.js';
import { checkStore } from '../store/index.js';
import {
  absolutePath,
  type Address,
  byteText,
  checkSocketPath,
  isLoopback,
  nodeSystem,
  removeSocketFolder,
} from '../system/index.js';
import { goToBackground, isInBackground, tellStarter } from './background.js';
import { runTool, toolCommand } from './run-tool.js';
import { becomeUser, writePidFile } from './server-process.js';
import { watchPlan } from './watch-settings.js';

const LEVELS = ['error', 'info', 'debug', 'trace'];
/** The descriptor on which a parent (`tardis --local`) waits for us, and by which we watch it. */
const PARENT_FD = 3;
/** What may wait for a log that takes nothing. */
const MAX_UNWRITTEN_LOG_CHARS = 1 << 20;
/** Processors of which none is idle while a local backup runs. */
const FEW_PROCESSORS = 2;

const command = toolCommand({
  tool: 'tardisd',
  isWork: true,
  run: start,
});

async function start(settings: Settings<'tardisd'>): Promise<void> {
  if (settings.daemon && !isInBackground()) {
    await goToBackground(settings);
    return;
  }
  try {
    await serve(settings);
  } catch (error) {
    tellStarter(error);
    throw error;
  }
}

async function serve(settings: Settings<'tardisd'>): Promise<void> {
  process.umask(settings.umask);
  const address = listenAddress(settings);
  const log = pino(
    { level: LEVELS[Math.min(settings.verbose, 3)] ?? 'error', base: null },
    logTo(logDescriptor(settings.logFile)),
  );
  const pidFile = settings.pidFile === undefined ? undefined : writePidFile(settings.pidFile);
  try {
    const certificate = await certificateOf(settings); // its key may be root's alone
    becomeUser(settings.user, settings.group);
    warnOfOpenDoors(settings, address, log);
    await serveUntilStopped(settings, { address, certificate }, log);
  } finally {
    pidFile?.remove();
  }
}

/** A log that cannot be written to ends no session; what it cannot take is dropped in the end. */
function logTo(fd: number): ReturnType<typeof destination> {
  const log = destination({ dest: fd, sync: true, maxLength: MAX_UNWRITTEN_LOG_CHARS });
  return log.on('error', () => undefined);
}

async function serveUntilStopped(
  settings: Settings<'tardisd'>,
  place: Pick<DaemonOptions, 'address' | 'certificate'>,
  log: Logger,
): Promise<void> {
  const options = { ...daemonOptions(settings), ...place };
  const system = nodeSystem(settings.umask);
  const { baseDir, allowCreate } = options;
  // With one session to come, whoever opens it is told.
  if (!settings.single && !checkStore(system, baseDir, allowCreate)) {
    log.warn({ store: baseDir }, 'there is no store here yet: the first new client makes it');
  }
  const threads = settings.storageThreads ?? storageThreadsFor(settings.single);
  const onSideWorkFailed: SideWorkFailed = (client, { code, message }, what) =>
    log.warn({ client, code, reason: message }, `no ${what} was made`);
  const storage =
    threads === 0
      ? new InlineStorageHost(system, onSideWorkFailed)
      : new ThreadStorageHost(
          threads,
          { umask: settings.umask, profiles: options.profiles },
          onSideWorkFailed,
        );
  const starting = Daemon.start(system, storage, options, log);
  const stop = (): void => {
    starting
      .then((daemon) => daemon.stop())
      .catch((error: unknown) => {
        log.error({ err: error }, 'stopping failed');
        process.exit(1);
      });
  };
  for (const name of ['SIGTERM', 'SIGHUP']) process.on(name, stop); // it may come as soon as we are heard to listen
  let daemon: Daemon;
  try {
    daemon = await starting;
  } catch (error) {
    await storage.close();
    throw error;
  }
  const isChild = !isInBackground() && tellParent(settings.localSocket, stop);
  if (!isChild) process.on('SIGINT', stop);
  tellStarter();
  await daemon.stopped;
  if (isChild) removeSocketFolder(settings.localSocket!); // our parent may have been killed
}

function daemonOptions(settings: Settings<'tardisd'>): Omit<DaemonOptions, 'address'> {
  return {
    baseDir: byteText(absolutePath(settings.database)),
    catalogFile: settings.catalogFile,
    allowCreate: settings.allowNewHosts || settings.localSocket !== undefined,
    onlyClient: settings.onlyClient,
    requirePassword: settings.requirePassword,
    loginTimeoutMs: settings.loginTimeoutSeconds * 1000,
    creditBytes: settings.creditBytes,
    timeoutMs: settings.timeoutSeconds * 1000,
    single: settings.single,
    parkMs: settings.parkSeconds * 1000,
    maxParked: settings.maxParked,
    logExceptions: settings.logExceptions,
    skipFile: settings.storeSkipFile,
    upkeep: upkeepPlan(settings),
    watch: watchPlan(settings),
    profiles: profilePlan(settings),
    storageOptions: {
      store: {
        packBytes: settings.packBytes,
        packContentBytes: settings.packContentBytes,
        catalogCacheBytes: settings.catalogCacheBytes,
        reserveBytes: settings.reserveBytes,
        leastFreeBytes: settings.leastFreeBytes,
        mayUpgrade: settings.allowUpgrades,
      },
      deltas: {
        maxChain: settings.maxDeltaChain,
        maxChangePercent: settings.maxChangePercent,
        saveFull: settings.saveFull,
      },
      checkpoint: {
        bytes: settings.checkpointBytes,
        entries: settings.checkpointEntries,
        intervalMs: settings.checkpointSeconds * 1000,
      },
      catalogCopies: settings.dbBackups,
      leastAgeMs: settings.leastAgeSeconds * 1000,
      forgetAfterMs: settings.forgetAfterSeconds * 1000,
      freeing: {
        graceMs: settings.removeAfterSeconds * 1000,
        wasteRatio: settings.wastePercent / 100,
      },
      umask: settings.umask,
      names: namesOf(settings),
      rules: rulesIn(settings),
      saveConfig: settings.saveConfig,
    },
  };
}

function profilePlan(settings: Settings<'tardisd'>): DaemonOptions['profiles'] {
  if (!settings.profileSessions) return undefined;
  const directory = path.join(byteText(absolutePath(settings.database)), PROFILES_DIRECTORY);
  return { directory, kept: settings.profilesKept };
}

/** Throws CONFIG_INVALID now, not when a client comes. */
function rulesIn(settings: RuleWords): RuleWords {
  serverRules(settings);
  const { priorities, keepPeriods, keepLast, keepHourly, keepDaily } = settings;
  const { keepWeekly, keepMonthly, keepYearly, keepWithin, keepTags } = settings;
  const counts = { keepLast, keepHourly, keepDaily, keepWeekly, keepMonthly, keepYearly };
  return { priorities, keepPeriods, ...counts, keepWithin, keepTags };
}

/** The same. */
function namesOf({ formats, priorities }: FormatWords): FormatWords {
  formatsOf({ formats, priorities });
  return { formats, priorities };
}

/** A server of one session does only what its client asks for. */
function upkeepPlan(settings: Settings<'tardisd'>): DaemonOptions['upkeep'] {
  const { single } = settings;
  const { packBytes, packContentBytes, catalogCacheBytes, allowUpgrades: mayUpgrade } = settings;
  const { earlyPurgeBytes, leastAgeSeconds, leastFreeBytes } = settings;
  return {
    leastFreeBytes,
    limits: { packBytes, packContentBytes, catalogCacheBytes, mayUpgrade, asksForLock: false },
    graceMs: single ? 0 : settings.removeAfterSeconds * 1000,
    wasteRatio: settings.wastePercent / 100,
    intervalMs: single ? 0 : settings.upkeepSeconds * 1000,
    purgeIntervalMs: single ? 0 : settings.purgeSeconds * 1000,
    purge: {
      rules: rulesIn(settings),
      leastAgeMs: leastAgeSeconds * 1000,
    },
    isThorough: false,
    skipFile: settings.storeSkipFile,
    umask: settings.umask,
    early:
      earlyPurgeBytes === 0
        ? undefined
        : { belowBytes: earlyPurgeBytes, leastAgeMs: leastAgeSeconds * 1000 },
  };
}

/**
 * A thread of its own keeps a slow disk from stalling other sessions, and writes while the next
 * messages come in; with one session and no idle processor it only takes 45 MB more.
 */
function storageThreadsFor(single: boolean): number {
  return single && availableParallelism() <= FEW_PROCESSORS ? 0 : 1;
}

function listenAddress(settings: Settings<'tardisd'>): Address {
  const { localSocket, port, ssl, insecureTcp, insecureNetwork, listenAddress: given } = settings;
  if (localSocket !== undefined) {
    const socket = path.resolve(localSocket);
    checkSocketPath(socket);
    return { kind: 'unix', path: socket };
  }
  if (given !== undefined && net.isIP(given) === 0) {
    throw configInvalid('Address must be an IP address of this machine');
  }
  if (ssl === true) return { kind: 'tcp', host: given ?? '', port };
  const host = given ?? LOOPBACK;
  if (!(insecureTcp || insecureNetwork) || !(isLoopback(host) || insecureNetwork)) {
    throw new TardisError('INSECURE_TCP_REFUSED', `refusing to listen on plain TCP (${host})`);
  }
  return { kind: 'tcp', host, port };
}

const LOOPBACK = '127.0.0.1';

/** The pair for TLS; undefined where there is none. */
async function certificateOf(settings: Settings<'tardisd'>): Promise<DaemonOptions['certificate']> {
  const { ssl, certFile, keyFile, makeCertificate, localSocket } = settings;
  if (ssl !== true || localSocket !== undefined) return undefined;
  if (certFile === undefined || keyFile === undefined) {
    throw configInvalid('SSL needs CertFile and KeyFile');
  }
  return readCertificate({ certFile, keyFile, mayMake: makeCertificate });
}

/** Said once, where the operator looks. */
function warnOfOpenDoors(settings: Settings<'tardisd'>, address: Address, log: Logger): void {
  if (settings.metricsPort !== undefined && !isLoopback(settings.metricsAddress)) {
    log.warn('whoever reaches MetricsAddress reads names and figures of all clients');
  }
  if (address.kind === 'unix' || (address.host !== '' && isLoopback(address.host))) return;
  if (settings.ssl !== true) {
    log.error('plain TCP beyond loopback: all that is sent can be read and changed on its way');
  }
  if (!settings.requirePassword) {
    log.warn('clients without a password are open to all who reach this address: RequirePassword');
  }
}

/** The log file, opened; standard error without one. */
function logDescriptor(file: Buffer | undefined): number {
  if (file === undefined) return 2;
  try {
    return fs.openSync(file, 'a', 0o640);
  } catch (error) {
    const why = systemCode(error) ?? 'unknown';
    throw new TardisError('CONFIG_INVALID', `cannot log to ${displayName(file)}: ${why}`);
  }
}

/**
 * Tells a parent that we listen, and stops when it is gone. A child of `tardis --local` also leaves
 * SIGINT to its parent: Ctrl-C reaches both, and the client ends the session in order.
 */
function tellParent(local: string | undefined, stop: () => void): boolean {
  if (local === undefined || !isPipe(PARENT_FD)) return false;
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

await runTool(command);
