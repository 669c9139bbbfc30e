/** Converts the settings of a server to the options of its daemon. */
import path from 'node:path';
import type { Logger } from 'pino';
import { configInvalid, type Settings } from '../../config/index.js';
import { asTardisError } from '../../errors/index.js';
import type { Right } from '../../model/index.js';
import {
  countsOf,
  type FormatWords,
  formatsOf,
  type RuleWords,
  serverRules,
} from '../../retention/index.js';
import { bucketAt, parseRights } from '../../store/index.js';
import {
  Daemon,
  type DaemonOptions,
  InlineStorageHost,
  PROFILES_DIRECTORY,
  type SideWorkFailed,
  ThreadStorageHost,
} from '../../server/index.js';
import {
  absolutePath,
  byteText,
  checkSocketPath,
  type SocketAddress,
  type System,
} from '../../system/index.js';
import { PACK_CONTENT_BYTES, USUAL_PARITY_PERCENT } from '../opening/local-store.js';
import { watchPlan } from './monitor-settings.js';
import { listenHost } from './serving.js';

/**
 * Factors by which checkpoints of a store in a bucket are further apart, in bytes, entries and seconds, unless the user has
 * set that. A checkpoint in a bucket ends a pack and waits for its transfer.
 */
const CHECKPOINTS_IN_BUCKET = Object.freeze({ bytes: 4, entries: 2, seconds: 6 });

function checkpointsOf(
  { checkpointBytes, checkpointEntries, checkpointSeconds, sources }: Settings<'tardisd'>,
  isInBucket: boolean,
): { bytes: number; entries: number; intervalMs: number } {
  const times = (name: string, factor: number): number => {
    const source = sources.get(name)?.source ?? 'built-in';
    const isChosen = source !== 'built-in' && !source.startsWith('profile');
    return isInBucket && !isChosen ? factor : 1;
  };
  return {
    bytes: checkpointBytes * times('checkpointBytes', CHECKPOINTS_IN_BUCKET.bytes),
    entries: checkpointEntries * times('checkpointEntries', CHECKPOINTS_IN_BUCKET.entries),
    intervalMs:
      checkpointSeconds * 1000 * times('checkpointSeconds', CHECKPOINTS_IN_BUCKET.seconds),
  };
}

/** Returns the options of the daemon for the settings of a server. Throws CONFIG_INVALID. */
export function daemonOptions(settings: Settings<'tardisd'>): Omit<DaemonOptions, 'address'> {
  const isInBucket = bucketAt(storePath(settings)) !== undefined;
  return {
    gc: gcPlan(settings, isInBucket),
    baseDir: storePath(settings),
    catalogFile: settings.catalogFile,
    allowCreate:
      settings.allowNewHosts || settings.localSocket !== undefined || isOwnChild(settings),
    isStoreThere: !isOwnChild(settings),
    restricted: restrictedTo(settings),
    newHostsAtOnce: settings.newHostsAtOnce,
    onlyClient: settings.onlyClient,
    requirePassword: settings.requirePassword,
    loginTimeoutMs: settings.loginTimeoutSeconds * 1000,
    creditBytes: settings.creditBytes,
    timeoutMs: settings.timeoutSeconds * 1000,
    single: settings.single,
    parkMs: settings.parkSeconds * 1000,
    maxParked: settings.maxParked,
    logExceptions: settings.logExceptions,
    acceptCopies: settings.acceptCopies || isOwnChild(settings),
    skipFile: isInBucket ? undefined : settings.storeSkipFile,
    watch: watchPlan(settings),
    profiles: profilePlan(settings),
    storageOptions: {
      store: storeLimitsOf(settings),
      deltas: {
        maxChain: settings.maxDeltaChain,
        maxChangePercent: settings.maxChangePercent,
        saveFull: settings.saveFull,
      },
      checkpoint: checkpointsOf(settings, isInBucket),
      leastAgeMs: leastAgeMs(settings),
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

/** Returns the directory of the store as byte text. */
export function storePath({ database }: Settings<'tardisd'>): string {
  return byteText(absolutePath(database));
}

/** Returns the limits of packs, catalogs and free space, for sessions and for garbage collection. */
function storeLimitsOf(settings: Settings<'tardisd'>) {
  const { packBytes, catalogCacheBytes, reserveBytes, leastFreeBytes } = settings;
  const { parityPercent = USUAL_PARITY_PERCENT, allowUpgrades: mayUpgrade } = settings;
  const sizes = { packBytes, packContentBytes: PACK_CONTENT_BYTES, parityPercent };
  return { ...sizes, catalogCacheBytes, reserveBytes, leastFreeBytes, mayUpgrade };
}

function profilePlan(settings: Settings<'tardisd'>): DaemonOptions['profiles'] {
  if (!settings.profileSessions) return undefined;
  const directory = path.join(storePath(settings), PROFILES_DIRECTORY);
  return { directory, kept: settings.profilesKept };
}

/** Checks and returns the retention rules. Throws CONFIG_INVALID now, and not only when a client connects. */
function rulesIn(settings: RuleWords): RuleWords {
  serverRules(settings);
  const { priorities, keepPeriods, keepWithin, endedAfter, keepTags } = settings;
  const counts = countsOf((rule) => settings[rule]);
  return { priorities, keepPeriods, ...counts, keepWithin, endedAfter, keepTags };
}

/** Checks and returns the name formats. Throws CONFIG_INVALID. */
function namesOf({ formats, priorities }: FormatWords): FormatWords {
  formatsOf({ formats, priorities });
  return { formats, priorities };
}

/**
 * Returns the plan for garbage collection and purges. A server of one session has no schedule. In a bucket no set is
 * deleted early, since a full disk of this machine does not matter.
 */
function gcPlan(settings: Settings<'tardisd'>, isInBucket: boolean): DaemonOptions['gc'] {
  const { single, earlyPurgeBytes, leastAgeSeconds, leastFreeBytes } = settings;
  return {
    leastFreeBytes,
    limits: { ...storeLimitsOf(settings), requestsLock: false },
    graceMs: single ? 0 : settings.removeAfterSeconds * 1000,
    wasteRatio: settings.wastePercent / 100,
    intervalMs: single ? 0 : settings.gcSeconds * 1000,
    purgeIntervalMs: single ? 0 : settings.purgeSeconds * 1000,
    purge: { rules: rulesIn(settings), leastAgeMs: leastAgeMs(settings) },
    isOneSession: single,
    isThorough: false,
    skipFile: settings.storeSkipFile,
    umask: settings.umask,
    early:
      earlyPurgeBytes === 0 || isInBucket
        ? undefined
        : { belowBytes: earlyPurgeBytes, leastAgeMs: leastAgeSeconds * 1000 },
  };
}

/**
 * True if the one client of the server has started it, in its own process, as its child or by ssh, and could as well
 * change the files of the store itself.
 */
function isOwnChild({ stdio, restrict }: Settings<'tardisd'>): boolean {
  return stdio && restrict === undefined;
}

/** Returns the rights that sessions have at most; undefined for no limit. Throws CONFIG_INVALID. */
function restrictedTo({ restrict }: Settings<'tardisd'>): ReadonlySet<Right> | undefined {
  if (restrict === undefined) return undefined;
  const words = restrict.split(/[\s,]+/).filter((word) => word !== '');
  if (words.length === 0) throw configInvalid('Restrict names no right');
  try {
    return new Set(parseRights(words));
  } catch (error) {
    throw configInvalid(`Restrict: ${asTardisError(error).message}`, error);
  }
}

/**
 * Returns the age below which a client deletes no set. Its own child has none unless one is set, as with `sonic purge`
 * on the store. The default age is against clients on a network.
 */
function leastAgeMs(settings: Settings<'tardisd'>): number {
  const isUsual = settings.sources.get('leastAgeSeconds')?.source === 'built-in';
  return isOwnChild(settings) && isUsual ? 0 : settings.leastAgeSeconds * 1000;
}

/** Returns the address to listen on. Throws CONFIG_INVALID, and INSECURE_TCP_REFUSED. */
export function listenAddress(settings: Settings<'tardisd'>): SocketAddress {
  const { localSocket, port } = settings;
  if (localSocket !== undefined) {
    const socket = path.resolve(localSocket);
    checkSocketPath(socket);
    return { kind: 'unix', path: socket };
  }
  const host = listenHost(settings, { any: '', what: 'listen on plain TCP' });
  return { kind: 'tcp', host, port };
}

/** Starts the daemon, with its storage in so many threads; 0: in this thread. Throws as `Daemon.start` does. */
export async function startDaemon(
  system: System,
  { threads, umask }: { readonly threads: number; readonly umask: number },
  options: DaemonOptions,
  log: Logger,
): Promise<Daemon> {
  const onSideWorkFailed: SideWorkFailed = (client, { code, message }, what) =>
    log.warn({ client, code, reason: message }, `no ${what} was made`);
  const { profiles } = options;
  const storage =
    threads === 0
      ? new InlineStorageHost(system, onSideWorkFailed)
      : new ThreadStorageHost(threads, { umask, profiles }, onSideWorkFailed);
  try {
    return await Daemon.start(system, storage, options, log);
  } catch (error) {
    await storage.close();
    throw error;
  }
}
