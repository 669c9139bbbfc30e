/**
 * Runs the server of `--local` in this process if there is little to do, since the start of a second process takes
 * longer than a small backup. It does so also if that process would have no processor of its own: a first backup then takes
 * 50 MB less, and no more time (measured). The store is consistent at whatever moment a process ends: after a
 * killed run, the next run sends all data that was not durable.
 */
import fs from 'node:fs';
import type { LocalServer, LocalServerOptions } from '../../client/index.js';
import { type Resolved, resolveSettings } from '../../config/index.js';
import { asTardisError, systemCode } from '../../errors/index.js';
import { absolutePath, byteText, processEnvironment, textBytes } from '../../system/index.js';
import { InnerDoor } from '../../transport/index.js';
import { storageThreadsOf } from '../tardisd/storage-threads.js';
import type { InnerDaemon } from './inner-daemon.js';

/** A server with a socket serves this machine only. Ours gets the settings of such a server, and makes no socket. */
const NO_SOCKET = 'none';
/** Maximum size of a client's catalog for its backups to count as small: about 8,000 entries. */
const SMALL_CATALOG_BYTES = 2 << 20;

/**
 * Returns a server in this process. Returns undefined if the client is new or large and the machine has processors for a
 * second process, or if the settings of the server require one. Returns undefined also if the settings are invalid, since
 * that process then reports this.
 */
export function startInnerServer(
  options: Omit<LocalServerOptions, 'command'>,
  client: string,
): LocalServer | undefined {
  const resolved = settingsOf(options);
  const isForLittle = resolved !== undefined && isSmall(resolved, client);
  if (
    resolved === undefined ||
    !mayShareProcess(resolved) ||
    !(isForLittle || storageThreadsOf(resolved.settings) === 0)
  ) {
    return undefined;
  }
  const door = new InnerDoor();
  const daemon = start(resolved, door);
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

async function start(resolved: Resolved<'tardisd'>, door: InnerDoor): Promise<InnerDaemon> {
  const { startInnerDaemon } = await import('./inner-daemon.js');
  return startInnerDaemon(resolved, door);
}

/** Returns the store that the server itself would use; undefined if its settings are invalid. */
export function storeOf(options: Omit<LocalServerOptions, 'command'>): Buffer | undefined {
  const resolved = settingsOf(options);
  return resolved && absolutePath(resolved.settings.database);
}

/** Returns the settings that the server itself would find; undefined if they are invalid. */
function settingsOf({
  store,
  configFile,
  profile,
  parityPercent,
}: Omit<LocalServerOptions, 'command'>): Resolved<'tardisd'> | undefined {
  const commandLine = new Map([
    ['single', ['true']],
    ['localSocket', [NO_SOCKET]],
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
function mayShareProcess({ settings }: Resolved<'tardisd'>): boolean {
  const { user, group, pidFile, logFile, daemon, storageThreads, profileSessions, umask } =
    settings;
  const isOwn = [user, group, pidFile, logFile].some((setting) => setting !== undefined);
  // The umask of this process removes permissions that the server may have to give.
  const isTooStrict = (process.umask() & ~umask) !== 0;
  return !isOwn && !daemon && !profileSessions && !isTooStrict && (storageThreads ?? 0) === 0;
}

/** True if the client has a small catalog. */
function isSmall({ settings }: Resolved<'tardisd'>, client: string): boolean {
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
