/** The server of `--local`, which is started when a backup first needs it. */
import { fileURLToPath } from 'node:url';
import {
  type LocalServer,
  type LocalServerOnDemand,
  type ServerSettings,
  startLocalServer,
} from '../../client/local-server.js';
import type { SettingName, Settings } from '../../config/index.js';
import { TardisError } from '../../errors/index.js';
import { absolutePath, byteText, isThere } from '../../system/index.js';
import { bucketSettings } from '../opening/local-store.js';
import { datedMs } from './dated.js';
import { innerSettings, mayShareProcess, startInnerServer } from './inner-server.js';

/**
 * Returns a module that is loaded while the server starts. If the module cannot be loaded, closes the server, since an
 * open server would keep this process from ending.
 */
export async function loadedBeside<M>(
  server: LocalServerOnDemand | undefined,
  loading: Promise<M>,
): Promise<M> {
  try {
    return await loading;
  } catch (error) {
    await server?.close();
    throw error;
  }
}

/** Returns the date of `--dated`. Throws USAGE if the server would not share the clock of this command. */
export async function dateOf(
  settings: Settings<'tardis'>,
  isLocal: boolean,
): Promise<number | undefined> {
  const { dated, localServerCmd } = settings;
  if (dated === undefined) return undefined;
  const inner = innerSettings(withoutUsualFile(serverSettings(settings)));
  if (!isLocal || localServerCmd !== undefined || inner === undefined || !mayShareProcess(inner))
    throw new TardisError('USAGE', '--dated needs --local, with a server in the same process');
  return datedMs(settings);
}

/** Configuration file of a local server. It is used if it exists and no other file is named. */
const USUAL_LOCAL_CONFIG = '/etc/tardis/tardisd.local.cfg';

/** Returns a local server that is started when it is first needed. */
export function localOnDemand(settings: Settings<'tardis'>, atMs?: number): LocalServerOnDemand {
  let started: LocalServer | undefined;
  return {
    get: () => (started ??= startServer(settings, atMs)),
    death: () => started?.death(),
    store: () => usedStore(settings),
    close: async () => started?.close(),
  };
}

export function usedStore(settings: Settings<'tardis'>): Buffer | undefined {
  if (bucketSettings() !== undefined) return settings.database;
  if (settings.localServerCmd !== undefined) return undefined;
  const inner = innerSettings(withoutUsualFile(serverSettings(settings)));
  return inner && absolutePath(inner.database);
}

function startServer(settings: Settings<'tardis'>, atMs?: number): LocalServer {
  const named = serverSettings(settings);
  const command = withoutConfig(settings.localServerCmd);
  if (command !== undefined) return startLocalServer(command, named);
  const given = withoutUsualFile(named);
  const inner = innerSettings(given);
  const tool = fileURLToPath(new URL('../tardisd.js', import.meta.url));
  const logFile = inner?.logFile;
  return (
    (inner && startInnerServer(inner, settings.client, atMs)) ??
    startLocalServer(
      [process.execPath, ...process.execArgv, tool],
      logFile === undefined ? given : new Map([...given, ['logFile', [byteText(logFile)]]]),
    )
  );
}

/** Returns settings with which a server reads no configuration file of its machine's service. */
function withoutUsualFile(given: ServerSettings): ServerSettings {
  return new Map([['daemonConfig', ['']], ...given]);
}

/**
 * Returns the settings of the local server. Store, parity and profile are passed only if the command line or the
 * configuration file of `tardis` sets them: the server inherits the environment, and its own file takes precedence
 * over it. If copies are requested, the store is always passed, since they are made of it. A store in a bucket is
 * passed with the settings of the bucket.
 */
function serverSettings(settings: Settings<'tardis'>): ServerSettings {
  const isNamed = (name: SettingName): boolean => {
    const source = settings.sources.get(name)?.source;
    return source === 'command line' || source === 'configuration file';
  };
  // If copies are requested, they are made of the store that this command names, so the server must use it.
  const isStoreNamed = isNamed('database') || settings.otherStores.length > 0;
  const bucket = bucketSettings();
  const { database, profile, parityPercent } = settings;
  const config =
    settings.localConfig ??
    (isThere(USUAL_LOCAL_CONFIG) ? Buffer.from(USUAL_LOCAL_CONFIG) : undefined);
  const given: [string, string | undefined][] = [
    ['daemonConfig', config && byteText(config)],
    ['database', isStoreNamed ? byteText(absolutePath(database)) : undefined],
    ['profile', isNamed('profile') ? profile : undefined],
    ['parityPercent', isNamed('parityPercent') ? String(parityPercent) : undefined],
  ];
  return new Map([
    ...given.flatMap(([name, value]) => (value === undefined ? [] : [[name, [value]] as const])),
    ...(bucket ?? []),
  ]);
}

/**
 * Removes a trailing `--config`, with which the default command of Tardis (Python) ends. The caller adds this option
 * before the file name in any case.
 */
function withoutConfig(command: readonly string[] | undefined): readonly string[] | undefined {
  return command?.at(-1) === '--config' ? command.slice(0, -1) : command;
}
