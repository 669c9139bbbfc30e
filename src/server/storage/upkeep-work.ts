/** Upkeep of a client as a server does it: it opens frames only where they are not encrypted. */
import { Catalog } from '../../catalog/index.js';
import { runTending } from '../tending/tending.js';
import { rulesFor } from './client-settings.js';
import { parseKeyRecord } from '../../crypto/index.js';
import {
  dueForgets,
  type EarlyWish,
  isClockInDoubt,
  keepUp,
  purgeByRules,
  purgeEarly,
  type PurgeWish,
  type UpkeepOptions,
  type UpkeepReport,
} from '../../keeper/index.js';
import { asTardisError, TardisError } from '../../errors/index.js';
import type { ForgetRequest } from '../../model/index.js';
import { type ClientDirectory, newestKeys, secondGenerationPath } from '../../store/index.js';
import type { RuleWords } from '../../retention/index.js';
import type { System } from '../../system/index.js';

/** How a server purges. */
export interface ServerPurge {
  readonly rules: RuleWords | undefined;
  readonly leastAgeMs: number;
}

/** Which sets of a client stay: a flood of sets evicts none, and a clock in doubt no set at all. */
export function wishFor({ rules, leastAgeMs }: ServerPurge): (catalog: Catalog) => PurgeWish {
  return (catalog) => ({
    rules: rulesFor(catalog, rules),
    leastAgeMs,
    lastCountsDays: true,
    keepsDoubtful: true,
    trustsClock: false,
  });
}

/** What of upkeep can be said to another thread. */
export interface UpkeepWork
  extends Pick<UpkeepOptions, 'limits' | 'graceMs' | 'wasteRatio' | 'isThorough'> {
  /** Undefined: no set goes early. */
  readonly early?: EarlyWish | undefined;
  /** Sets that this does not keep go; undefined: no set goes by rules. */
  readonly purge?: ServerPurge | undefined;
  /** The name of a file that keeps clients out of a backup of this machine. */
  readonly skipFile: string;
  /** Permissions that nothing in the store gets. */
  readonly umask?: number | undefined;
  /** What stays free where the store is: a client is not written anew at the cost of it. */
  readonly leastFreeBytes: number;
  /** Carry out what is due to be forgotten. */
  readonly forgets: boolean;
}

export interface UpkeepDone extends UpkeepReport {
  /** Requests to forget a path that were carried out. */
  readonly forgotten: number;
  /** Why those that are due could not be. */
  readonly forgetFailure: string | undefined;
  /** Sets that went early, since space ran low. */
  readonly early: readonly number[];
  /** Sets that went by the rules. */
  readonly purged: readonly number[];
  /** The rules were not followed, since the clock is in doubt. */
  readonly isClockInDoubt: boolean;
  /** Why the rules could not be followed: what is kept with the client makes no sense. */
  readonly purgeFailure: string | undefined;
}

/** In this thread, in slices, until somebody wants the client or `signal` says to stop. Throws CLIENT_BUSY, INTERRUPTED. */
export async function keepUpHere(
  system: System,
  directory: ClientDirectory,
  work: UpkeepWork,
  signal: AbortSignal,
): Promise<UpkeepDone> {
  const keys = newestKeys(system, directory.path);
  const isEncrypted = keys !== undefined && parseKeyRecord(keys.bytes).isEncrypting;
  const frames = isEncrypted ? undefined : { native: system.native, keys: undefined };
  const { early: wish, purge, limits, graceMs, wasteRatio, isThorough } = work;
  const options = { limits, graceMs, wasteRatio, isThorough, frames, signal };
  const forgot = isEncrypted ? NOTHING_FORGOTTEN : await forgetDue(system, directory, work, signal);
  const report = purge && (await followRules(system, directory, work, purge));
  const early = wish === undefined ? [] : await purgeEarly(system, directory, wish, options);
  const done = await keepUp(system, directory, options);
  const { gone: purged = [], isClockInDoubt = false, purgeFailure } = report ?? {};
  return { ...done, ...forgot, early, purged, isClockInDoubt, purgeFailure };
}

type Forgotten = Pick<UpkeepDone, 'forgotten' | 'forgetFailure'>;
const NOTHING_FORGOTTEN: Forgotten = { forgotten: 0, forgetFailure: undefined };

/**
 * Writes the client anew without what is due to be forgotten, unless the clock is in doubt. A client that encrypts
 * waits for its keys (`sonic forget-path --finish`). Throws CLIENT_BUSY, INTERRUPTED.
 */
async function forgetDue(
  system: System,
  directory: ClientDirectory,
  work: UpkeepWork,
  signal: AbortSignal,
): Promise<Forgotten> {
  const { due, isInDoubt } = dueHere(system, directory);
  const hasSecond = system.files.status(secondGenerationPath(directory)) !== undefined;
  if (due.length === 0 && !hasSecond) return NOTHING_FORGOTTEN;
  if (hasSecond) {
    const { finishSwitched } = await import('../../rekey/index.js'); // needed so seldom
    await finishSwitched(system, directory);
  }
  if (due.length === 0 || !work.forgets) return NOTHING_FORGOTTEN;
  if (isInDoubt) {
    const why = 'the clock has jumped, or nobody backed up for long';
    return {
      forgotten: 0,
      forgetFailure: `${why}: \`sonic forget-path --finish\` does it all the same`,
    };
  }
  try {
    // In a thread of its own: it writes all of the client anew, and others' sessions are here.
    const { umask, skipFile, leastFreeBytes } = work;
    const limits = { ...work.limits, leastFreeBytes };
    const task = { kind: 'forget', requests: due, skipFile } as const;
    await runTending({ directory, limits, umask, work: task }, signal);
    return { forgotten: due.length, forgetFailure: undefined };
  } catch (error) {
    const { code, message } = asTardisError(error);
    if (code === 'CLIENT_BUSY' || code === 'INTERRUPTED') throw error;
    return { forgotten: 0, forgetFailure: message };
  }
}

function dueHere(
  system: System,
  directory: ClientDirectory,
): { due: readonly ForgetRequest[]; isInDoubt: boolean } {
  const nowMs = system.clock.nowMs();
  return Catalog.reading(system, directory.catalogPath, ({ forgets, sets }) => {
    const due = dueForgets(forgets.all(), nowMs);
    return { due, isInDoubt: due.length > 0 && isClockInDoubt(sets.listed(), nowMs) };
  });
}

interface Purged {
  readonly gone?: readonly number[];
  readonly isClockInDoubt?: boolean;
  readonly purgeFailure?: string;
}

/** Rules that make no sense purge nothing, and keep nobody from clearing up. Throws CLIENT_BUSY. */
async function followRules(
  system: System,
  directory: ClientDirectory,
  { limits }: UpkeepWork,
  purge: ServerPurge,
): Promise<Purged> {
  try {
    return await purgeByRules(system, directory, limits, wishFor(purge));
  } catch (error) {
    if (!(error instanceof TardisError) || error.code !== 'CONFIG_INVALID') throw error;
    return { purgeFailure: error.message };
  }
}
