/** Implements `tardisd`, the server. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Logger } from 'pino';
import { TardisError } from '../errors/index.js';
import { isBucket, type Settings, storageThreadsOf } from '../config/index.js';
import type { Daemon, DaemonOptions, Visit } from '../server/index.js';
import { closeSharedStores, requireStore } from '../store/index.js';
import type { ListenPlace } from '../transport/index.js';
import { isLoopback, nodeSystem, type System, textBytes } from '../system/index.js';
import { isInBackground, reportToStarter, serveOrGo } from './shared/background.js';
import { daemonOptions, listenAddress, startDaemon, storePath } from './tardisd/daemon-options.js';
import { runTool, toolCommand } from './shared/run-tool.js';
import { createStore, type ServedBucket } from './tardisd/served-store.js';
import { printReady, printVisit } from './tardisd/server-ready.js';
import { tardisCommand } from './shared/own-files.js';
import { atHangup } from './shared/signals.js';
import { pipedPlace, pipedSettings } from './tardisd/piped-server.js';
import { becomeUser, writePidFile } from './tardisd/server-process.js';
import { LiveCertificate } from './tardisd/live-certificate.js';
import { LiveSettings } from './tardisd/live-settings.js';
import { openLog, withOwnTls } from './tardisd/serving.js';
import type { Remote } from './tardisremote/start-remote.js';

/** The options of the daemon, and the parts of a bucket that its HTTP interface uses. */
type ServingOptions = DaemonOptions & { readonly address: ListenPlace } & Pick<
    Partial<ServedBucket>,
    'shared'
  >;

/** A server that listens, and its settings. */
interface Live {
  readonly daemon: Daemon;
  readonly settings: LiveSettings;
}

const command = toolCommand({
  tool: 'tardisd',
  isWork: true,
  run: (settings) => {
    const daemon = settings.daemon && !settings.stdio;
    return serveOrGo({ ...settings, daemon }, () => serve(settings));
  },
});

async function serve(given: Settings<'tardisd'>): Promise<void> {
  let settings = given.stdio ? pipedSettings(given) : withOwnTls(given);
  let served: ServedBucket | undefined;
  process.umask(settings.umask);
  const address = settings.stdio ? pipedPlace() : listenAddress(settings);
  const log = await openLog(settings);
  const pidFile =
    settings.pidFile === undefined ? undefined : writePidFile(settings.pidFile, 'tardisd');
  try {
    // The key may be readable by root only.
    const certificate =
      address.kind === 'tcp' ? await LiveCertificate.open(settings, log) : undefined;
    let live: Live | undefined;
    atHangup(async () => {
      await certificate?.look();
      const options = live?.settings.read();
      if (options !== undefined) live?.daemon.renew(options);
    });
    const system = nodeSystem(settings.umask);
    const hasBucket = isBucket(settings.sources.get('database'));
    const isStoreNew = await createStore(system, settings, hasBucket);
    becomeUser(settings);
    if (hasBucket) {
      const { serveBucket } = await import('./tardisd/served-bucket.js'); // most stores are directories
      served = await serveBucket(system, settings, log);
      settings = { ...settings, database: served.database }; // the cache belongs to the user of the server
    }
    if (isStoreNew) log.info({ store: storePath(settings) }, 'the store was created');
    warnOfOpenDoors(settings, address, log);
    const options = { ...daemonOptions(settings), address, certificate };
    const { shared } = served ?? {};
    const current = new LiveSettings(given, settings, log);
    const onStarted = (daemon: Daemon): void => {
      live = { daemon, settings: current };
    };
    const all = { options: { ...options, shared }, log, isStoreNew, onStarted };
    await serveUntilStopped(system, settings, all);
  } finally {
    await served?.close();
    await closeSharedStores();
    pidFile?.remove();
  }
}

async function serveUntilStopped(
  system: System,
  settings: Settings<'tardisd'>,
  {
    options,
    log,
    isStoreNew,
    onStarted,
  }: {
    readonly options: ServingOptions;
    readonly log: Logger;
    readonly isStoreNew: boolean;
    readonly onStarted: (daemon: Daemon) => void;
  },
): Promise<void> {
  const { baseDir } = options;
  if (!settings.single) requireStore(system.files, baseDir); // of one session, the client gets the error
  let isShown = false;
  const onLeft = (visit: Visit): void => {
    if (isShown && process.stdout.isTTY) printVisit(system, visit);
  };
  const how = { threads: storageThreadsOf(settings), umask: settings.umask };
  const starting = startDaemon(system, how, { ...options, onLeft }, log);
  const stop = (): void => {
    starting
      .then((daemon) => daemon.stop())
      .catch((error: unknown) => {
        log.error({ err: error }, 'stopping failed');
        process.exit(1);
      });
  };
  process.on('SIGTERM', stop); // it may come at once
  const daemon = await starting;
  const remote = await serveBeside(system, settings, { ...options, daemon }, log).catch(
    async (error: unknown) => {
      await daemon.stop();
      throw error;
    },
  );
  if (options.address.kind === 'piped') {
    // A peer that never began a connection leaves no session whose end would stop the server.
    options.address.socket.once('close', () => daemon.isIdle && stop());
  }
  onStarted(daemon);
  process.on('SIGINT', stop);
  if (!isInBackground() && !settings.stdio) {
    printReady(system, settings, daemon.address, isStoreNew);
    isShown = !settings.json;
  }
  reportToStarter();
  await daemon.stopped;
  await remote?.close();
}

/** Serves the store over HTTP too, if a setting requests it. Throws LISTEN_FAILED. */
async function serveBeside(
  system: System,
  settings: Settings<'tardisd'>,
  { address, certificate, shared: following, daemon }: ServingOptions & { readonly daemon: Daemon },
  log: Logger,
): Promise<Remote | undefined> {
  if (!settings.remote || settings.single || address.kind !== 'tcp') return undefined;
  const { compress, allowCache: allowsCache, trustedProxies, logExceptions } = settings;
  const { catalogFile, onlyClient, besidePort: port } = settings;
  const { startRemote } = await import('./tardisremote/start-remote.js'); // most servers need no HTTP
  const host = address.host === '' ? '::' : address.host;
  const { address: ownAddress } = daemon;
  // Without TLS, or in a bucket, there is nothing to join by a code.
  const ownServer =
    certificate === undefined || following !== undefined || ownAddress.kind !== 'tcp'
      ? undefined
      : {
          port: ownAddress.port,
          certificate,
          changeSetting: changeSettingIn(settings),
          changeQuota: async (client: string, quotaBytes: number) => {
            const { adminHere } = await import('./opening/admin.js'); // most servers change none
            const place = { catalogFile, client, database: textBytes(storePath(settings)) };
            return adminHere(system, place, undefined).changeQuota(quotaBytes); // needs no keys
          },
        };
  const remote = await startRemote(system, {
    source: { store: storePath(settings), catalogFile, onlyClient, following, ownServer },
    compress,
    allowsCache,
    trustedProxies,
    logExceptions,
    log,
    place: { host, port, certificate },
  });
  log.info({ port: remote.port }, 'HTTP is served');
  return remote;
}

/**
 * Returns a function that changes a setting of a client by the command `sonic`: a change in this thread would wait for
 * its own readers.
 */
function changeSettingIn(settings: Settings<'tardisd'>) {
  const { catalogFile } = settings;
  return async (client: string, key: string, value: string | undefined): Promise<void> => {
    const env = { ...process.env, TARDIS_DBNAME: catalogFile };
    const words = value === undefined ? ['--remove', '--', key] : ['--', key, value];
    const all = ['setconfig', '-D', storePath(settings), '-C', client, ...words];
    await promisify(execFile)(tardisCommand('sonic'), all, { env }).catch((error: unknown) => {
      const why = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
      throw new TardisError('CLIENT_BUSY', `the setting was not changed: ${why}`, {}, error);
    });
  };
}

/** Logs warnings about access that is open to a network. */
function warnOfOpenDoors(settings: Settings<'tardisd'>, address: ListenPlace, log: Logger): void {
  if (settings.metricsPort !== undefined && !isLoopback(settings.metricsAddress)) {
    log.warn('anyone who can connect to MetricsAddress can read names and metrics of all clients');
  }
  if (address.kind !== 'tcp' || (address.host !== '' && isLoopback(address.host))) return;
  if (settings.ssl !== true) {
    log.error('plain TCP beyond loopback: everything sent can be read and changed on its way');
  }
  if (!settings.requirePassword) {
    log.warn(
      'anyone who can connect to this address can use clients without a password: see RequirePassword',
    );
  }
}

export default runTool(command);
