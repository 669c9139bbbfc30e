/**
 * Runs the server of `--local` in this process. It has no socket, so no other process can reach it. On
 * a machine with processors for it, a thread of its own writes packs and catalogs. The store is consistent at whatever
 * moment a process ends: after a killed run, the next run sends all data that was not durable.
 */
import fs from 'node:fs';
import type { LocalServer, ServerSettings } from '../../client/index.js';
import { resolveSettings, type Settings, storageThreadsOf } from '../../config/index.js';
import { ifPossible, type TardisError, unlessBug } from '../../errors/index.js';
import { absolutePath, byteText, processEnvironment, textBytes } from '../../system/index.js';
import { InnerListener } from '../../transport/index.js';

/** Maximum size of a client's catalog for its backups to count as small: about 8,000 entries. */
const SMALL_CATALOG_BYTES = 2 << 20;

/**
 * Returns a server in this process; undefined if its settings require a process of its own. If a date is given, its clock
 * stands there. No thread has this clock, so the server then has none.
 */
export function startInnerServer(
  resolved: Settings<'tardisd'>,
  client: string,
  dateMs: number | undefined,
): LocalServer | undefined {
  if (!mayShareProcess(resolved)) return undefined;
  const isForLittle = isSmall(resolved, client);
  const isWithoutThread =
    dateMs !== undefined || (isForLittle && resolved.storageThreads === undefined);
  const listener = new InnerListener();
  const threads = isWithoutThread ? 0 : storageThreadsOf(resolved);
  const daemon = import('./inner-daemon.js').then(({ startInnerDaemon }) =>
    startInnerDaemon(resolved, listener, threads, dateMs),
  );
  let fault: TardisError | undefined;
  const ready = daemon.then(() => undefined);
  ready.catch(() => undefined); // callers of `ready` get the error, but there may be none yet
  return {
    address: listener,
    isForLittle,
    ready,
    death: () => fault,
    close: async () => {
      fault = await (await daemon.catch(() => undefined))?.close(); // `ready` reports a failure
    },
  };
}

/**
 * Returns the settings that a child with --stdio would find; undefined if they are invalid, which the child then
 * reports.
 */
export function innerSettings(given: ServerSettings): Settings<'tardisd'> | undefined {
  const commandLine = new Map([['single', ['true']], ['stdio', ['true']], ...given]);
  return unlessBug(() =>
    resolveSettings('tardisd', { commandLine, environment: processEnvironment() }),
  );
}

/** True if the settings of the server let it share a process with its client. */
function mayShareProcess(settings: Settings<'tardisd'>): boolean {
  const { user, group, profileSessions, umask } = settings;
  // The umask of this process removes permissions that the server may have to give.
  const isTooStrict = (process.umask() & ~umask) !== 0;
  return user === undefined && group === undefined && !profileSessions && !isTooStrict;
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
  return ifPossible(() => fs.statSync(textBytes(file)).size) ?? 0;
}
