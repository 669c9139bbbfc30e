/**
 * Runs the server of `--local` in this process. It has no socket, so no other process can reach it. On
 * a machine with processors for it, a thread of its own writes packs and catalogs. The store is consistent at whatever
 * moment a process ends: after a killed run, the next run sends all data that was not durable.
 */
import fs from 'node:fs';
import type { LocalServer, LocalServerOptions } from '../../client/index.js';
import { resolveSettings, type Settings, storageThreadsOf } from '../../config/index.js';
import { asTardisError, systemCode } from '../../errors/index.js';
import { absolutePath, byteText, processEnvironment, textBytes } from '../../system/index.js';
import { InnerDoor } from '../../transport/index.js';
import type { InnerDaemon } from './inner-daemon.js';

/** A server with a socket serves this machine only. Ours gets the settings of such a server, and makes no socket. */
const NO_SOCKET = 'none';
/** Maximum size of a client's catalog for its backups to count as small: about 8,000 entries. */
const SMALL_CATALOG_BYTES = 2 << 20;

/**
 * Returns a server in this process. Returns undefined if the settings of the server require a process of its own. Returns
 * undefined also if the settings are invalid, since that process then reports this.
 */
export function startInnerServer(
  options: Omit<LocalServerOptions, 'command'>,
  client: string,
): LocalServer | undefined {
  const resolved = settingsOf(options);
  if (resolved === undefined || !mayShareProcess(resolved)) return undefined;
  const isForLittle = isSmall(resolved, client);
  const isWithoutThread = isForLittle && resolved.storageThreads === undefined;
  const door = new InnerDoor();
  const daemon = start(resolved, door, isWithoutThread ? 0 : storageThreadsOf(resolved));
  const ready = daemon.then(() => undefined);
  ready.catch(() => undefined); // callers of `ready` get the error, but there may be none yet
  return {
    address: door,
    isForLittle,
    ready,
    death: () => undefined,
    close: async () => {
      await (await daemon.catch(() => undefined))?.close(); // `ready` reports a failure
    },
  };
}

async function start(
  resolved: Settings<'tardisd'>,
  door: InnerDoor,
  threads: number,
): Promise<InnerDaemon> {
  const { startInnerDaemon } = await import('./inner-daemon.js');
  return startInnerDaemon(resolved, door, threads);
}

/** Returns the store that the server itself would use; undefined if its settings are invalid. */
export function storeOf(options: Omit<LocalServerOptions, 'command'>): Buffer | undefined {
  const resolved = settingsOf(options);
  return resolved && absolutePath(resolved.database);
}

/** Returns the settings that the server itself would find; undefined if they are invalid. */
function settingsOf({
  store,
  bucket = new Map(),
  configFile,
  profile,
  parityPercent,
}: Omit<LocalServerOptions, 'command'>): Settings<'tardisd'> | undefined {
  const commandLine = new Map([
    ['single', ['true']],
    ['localSocket', [NO_SOCKET]],
    ...bucket,
    ...(store === undefined ? [] : [['database', [byteText(store)]] as const]),
    ...(configFile === undefined ? [] : [['daemonConfig', [byteText(configFile)]] as const]),
    ...(profile === undefined ? [] : [['profile', [profile]] as const]),
    ...(parityPercent === undefined ? [] : [['parityPercent', [String(parityPercent)]] as const]),
  ]);
  try {
    return resolveSettings('tardisd', { commandLine, environment: processEnvironment() });
  } catch (error) {
    if (asTardisError(error).code === 'INTERNAL') throw error;
    return undefined;
  }
}

/** True if the settings of the server let it share a process with its client. */
function mayShareProcess(settings: Settings<'tardisd'>): boolean {
  const { user, group, pidFile, logFile, daemon, profileSessions, umask } = settings;
  const isOwn = [user, group, pidFile, logFile].some((setting) => setting !== undefined);
  // The umask of this process removes permissions that the server may have to give.
  const isTooStrict = (process.umask() & ~umask) !== 0;
  return !isOwn && !daemon && !profileSessions && !isTooStrict;
}

/** True if the client has a small catalog. */
function isSmall(settings: Settings<'tardisd'>, client: string): boolean {
  const catalog = `${byteText(absolutePath(settings.database))}/${client}/${settings.catalogFile}`;
  const bytes = sizeOf(catalog);
  return bytes > 0 && bytes + sizeOf(`${catalog}-wal`) <= SMALL_CATALOG_BYTES;
}

/**
 * Returns the size of a file in bytes. Returns 0 if the file does not exist, or cannot be examined; the server reports
 * the latter.
 */
function sizeOf(file: string): number {
  try {
    return fs.statSync(textBytes(file), { throwIfNoEntry: false })?.size ?? 0;
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return 0;
  }
}
