/** The server of a run of `tardis --local` or `tardis-import`: in this process, or a child. */
import {
  type LocalServer,
  type LocalServerOnDemand,
  type ServerSettings,
  startLocalServer,
} from '../../client/local-server.js';
import type { SettingName, Settings } from '../../config/index.js';
import { usageError } from '../../errors/index.js';
import { absolutePath, byteText, isThere } from '../../system/index.js';
import { bucketSettings } from '../opening/bucket-settings.js';
import { innerSettings, startInnerServer } from './inner-server.js';

/** Configuration file of a local server. It is used if it exists and no other file is named. */
const USUAL_LOCAL_CONFIG = '/etc/tardis/tardisd.local.cfg';

/** The script of `tardisd`, for a server in a process of its own; or the date of a server in this process. */
type ServerKind = { readonly daemon: string } | { readonly dateMs: number };

/** Returns a local server that is started when it is first needed. If a date is given, its clock stands there. */
export function localOnDemand(settings: Settings<'tardis'>, kind: ServerKind): LocalServerOnDemand {
  let started: LocalServer | undefined;
  let used: { readonly store: Buffer | undefined } | undefined; // the settings of the server are resolved once
  return {
    get: () => (started ??= startServer(settings, kind)),
    death: () => started?.death(),
    store: () => (used ??= { store: usedStore(settings) }).store,
    close: async () => started?.close(),
  };
}

/** Returns the directory of the store that a local server uses; undefined if only the server knows it. */
export function usedStore(settings: Settings<'tardis'>): Buffer | undefined {
  if (bucketSettings() !== undefined) return settings.database;
  if (settings.localServerCmd !== undefined) return undefined;
  const inner = innerSettings(withoutUsualFile(serverSettings(settings)));
  return inner && absolutePath(inner.database);
}

/** Throws USAGE for a server with a date whose settings need a process of its own. */
function startServer(settings: Settings<'tardis'>, kind: ServerKind): LocalServer {
  const named = serverSettings(settings);
  const command = withoutConfig(settings.localServerCmd);
  if (command !== undefined) return startLocalServer(command, named);
  const given = withoutUsualFile(named);
  const inner = innerSettings(given);
  const logFile = inner?.logFile;
  const dateMs = 'dateMs' in kind ? kind.dateMs : undefined;
  const here = inner && startInnerServer(inner, settings.client, dateMs);
  if (here !== undefined) return here;
  if (!('daemon' in kind)) {
    const why = 'the settings of the local server need a process of its own, which dates no sets';
    throw usageError(`${why}: omit User, Group and a strict umask`);
  }
  return startLocalServer(
    [process.execPath, ...process.execArgv, kind.daemon],
    logFile === undefined ? given : new Map([...given, ['logFile', [byteText(logFile)]]]),
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
