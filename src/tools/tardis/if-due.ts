/** Decides for `tardis backup --if-due` whether a backup begins now. The timer of `tardis setup` runs it every 15 minutes. */
import { spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { asTardisError } from '../../errors/index.js';
import { configInvalid, isBucketText, type Settings } from '../../config/index.js';
import { isDue, savedAtMs, whyWait } from '../../model/index.js';
import {
  byteText,
  deviceLink,
  isThere,
  mountedPlace,
  nodeSystem,
  textBytes,
} from '../../system/index.js';
import { type BackupMemory, backupMemoryOf } from '../opening/backup-memory.js';
import { print } from '../output/output.js';
import { configuredPaths, configuredSettings, rootsFor } from '../shared/configured.js';
import { hasToWait, printWait, reportLate } from './backup-events.js';

type Options = Settings<'tardis'>;

/** Number of looks, one each second, for a disk that was connected and that the desktop may be mounting. */
const MOST_LOOKS = 60;
const LOOK_MS = 1000;
const POWER = [
  'org.freedesktop.login1',
  '/org/freedesktop/login1',
  'org.freedesktop.login1.Manager',
  'OnExternalPower',
];
const PATIENCE_MS = 5000;
/** Time after a backup on a request in which the next request does not count. */
const REQUEST_AGAIN_MS = 3_600_000;
const NETWORK = [
  'org.freedesktop.NetworkManager',
  '/org/freedesktop/NetworkManager',
  'org.freedesktop.NetworkManager',
  'Metered',
];
/** Values of NetworkManager's property: the network is metered, or probably is. */
const METERED = /^u [13]\n/;

/**
 * Returns the settings with which the backup to a store of this machine, or to the server, begins now; undefined if it is
 * not due, or has to wait. Reports a backup that is overdue. Throws CONFIG_INVALID without a schedule.
 */
export async function settingsIfDue(
  settings: Options,
  store: Buffer | undefined,
): Promise<Options | undefined> {
  const { schedule, onRequest } = settings;
  if (schedule === undefined) throw configInvalid('--if-due needs the key Schedule');
  const configured = configuredSettings(settings);
  const memory = backupMemoryOf(settings, store, configuredPaths(configured));
  const known = memory.read();
  const isPlanned =
    isDue(schedule, known, Date.now()) ||
    isDue(schedule, { ...known, ...(await savedThere(settings, store, configured)) }, Date.now());
  if (!isPlanned && !(onRequest && store === undefined && (await isRequested(settings, memory)))) {
    return undefined;
  }
  const database = await mountedSoon(settings.database);
  const isDiskThere = memory.disk === undefined || deviceLink(byteText(database)) === undefined;
  if (memory.disk !== undefined && isDiskThere) memory.note({ seenAtMs: Date.now() });
  const isRemote = store === undefined || isBucketText(byteText(store));
  const why = whyWait({
    isDiskThere,
    // systemd decides it as in ConditionACPower: a battery is in use, and there is no other power.
    isOnBattery: property(...POWER) === 'b false\n',
    isMetered: isRemote && METERED.test(property(...NETWORK)),
  });
  if (why === undefined) {
    if (!isPlanned) memory.note({ requestedMs: Date.now() });
    return { ...settings, database };
  }
  printWait(settings, why);
  for (const failed of await reportLate(settings, memory, why)) print(failed);
  return undefined;
}

/**
 * Returns the time up to which a store on this machine has all configured roots, by which it may have been put back since.
 * Nothing for a store that cannot be seen, and for a bucket or a server, which is not connected to so often.
 */
async function savedThere(
  { client, catalogFile }: Options,
  store: Buffer | undefined,
  configured: Options | undefined,
): Promise<{ readonly lastGoodMs?: number }> {
  const place = store && byteText(store);
  if (place === undefined || isBucketText(place) || !isThere(mountedPlace(place))) return {};
  const { overviewOf } = await import('../../server/index.js'); // a backup that runs loads it too
  const looked = { store: mountedPlace(place), catalogFile, configured: rootsFor(configured) };
  const [row] = await overviewOf(nodeSystem(), looked, [client]);
  const isKnown = row !== undefined && ['', 'NO_SUCH_CLIENT'].includes(row.fault);
  const savedMs = isKnown ? savedAtMs(row) : undefined;
  return savedMs === undefined ? {} : { lastGoodMs: savedMs > Date.now() ? 0 : savedMs };
}

/**
 * True if an administrator of the server has requested a backup. A server can cause one backup an hour in this way, and
 * nothing else. A server that cannot be reached has no request.
 */
async function isRequested(settings: Options, memory: BackupMemory): Promise<boolean> {
  const { requestedMs = 0 } = memory.read();
  if (Date.now() - requestedMs < REQUEST_AGAIN_MS) return false;
  const { openThere } = await import('../opening/history.js'); // most runs request nothing
  const { remotePlace } = await import('../opening/server.js');
  try {
    using history = await openThere(nodeSystem(), await remotePlace(settings.server, settings));
    const own = await history.reports.ownState?.();
    return (own?.requestedAtMs ?? 0) > 0;
  } catch (thrown) {
    if (hasToWait(asTardisError(thrown))) return false;
    throw thrown;
  }
}

/** Returns the place on a disk that was connected, when it is mounted; after a minute, returns what was given. */
async function mountedSoon(database: Buffer): Promise<Buffer> {
  const given = byteText(database);
  const link = deviceLink(given);
  if (link === undefined) return database;
  for (let looks = 0; looks < MOST_LOOKS; looks += 1) {
    if (!isThere(link)) break;
    const now = mountedPlace(given);
    if (now !== given) return textBytes(now);
    await sleep(LOOK_MS);
  }
  return database;
}

/** Returns a property of a service of this machine, as busctl prints it; an empty text without the service. */
function property(...names: readonly string[]): string {
  const { stdout } = spawnSync('busctl', ['--system', 'get-property', ...names], {
    encoding: 'utf8',
    timeout: PATIENCE_MS,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return stdout ?? '';
}
