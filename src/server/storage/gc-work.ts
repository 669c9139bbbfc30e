/** Garbage collection of a client by a server, which can open the frames of unencrypted clients only. */
import { Catalog } from '../../store/catalog/index.js';
import { runJobThread } from '../jobs/background-jobs.js';
import { parseKeyRecord } from '../../crypto/index.js';
import { dueForgets, isClockInDoubt, rulesFor } from '../../store/writer/index.js';
import {
  type MakeRoomOptions,
  collectGarbage,
  purgeByRules,
  deleteForSpace,
  type PurgeRequest,
  type GcOptions,
  type GcReport,
} from '../../maintenance/gc/index.js';
import { asTardisError, TardisError } from '../../errors/index.js';
import type { ForgetRequest, SetNumber } from '../../model/index.js';
import {
  type ClientDirectory,
  newestKeys,
  reopenClient,
  secondGenerationPath,
} from '../../store/index.js';
import type { RuleWords, Verdict } from '../../retention/index.js';
import type { System } from '../../system/index.js';

/** Settings of purges by the server. */
export interface ServerPurge {
  readonly rules: RuleWords | undefined;
  readonly leastAgeMs: number;
  /** True if the sets may come from an account that must not delete any. */
  readonly resistsFloods: boolean;
}

/** Returns the rules that decide which sets of a client are kept. If the clock is in doubt, all sets are kept. */
export function purgeRequestFor({
  rules,
  leastAgeMs,
  resistsFloods,
}: ServerPurge): (catalog: Catalog) => PurgeRequest {
  return (catalog) => ({
    rules: rulesFor(catalog, rules),
    leastAgeMs,
    resistsFloods,
    keepsDoubtful: true,
    trustsClock: false,
  });
}

/** The settings of garbage collection that can be passed to another thread. */
export interface GcWork
  extends Pick<GcOptions, 'limits' | 'graceMs' | 'wasteRatio' | 'isThorough'> {
  /** Limits for deleting sets early; undefined if no set is to be deleted early. */
  readonly early?: MakeRoomOptions | undefined;
  /** The rules for deleting sets; undefined deletes none by rules. */
  readonly purge?: ServerPurge | undefined;
  /** Name of the file that excludes clients from a backup of this machine. */
  readonly skipFile: string;
  /** Permissions that files in the store do not get. */
  readonly umask?: number | undefined;
  /** Number of bytes that must remain free in the store. A client is not rewritten if the rewrite would need them. */
  readonly leastFreeBytes: number;
  /** True to forget the paths that are due. */
  readonly forgets: boolean;
}

export interface GcResult extends GcReport {
  /** Number of requests to forget a path that were carried out. */
  readonly forgotten: number;
  /** The reason why due requests could not be carried out. */
  readonly forgetFailure: string | undefined;
  /** Sets deleted early because space was low. */
  readonly early: readonly SetNumber[];
  /** Sets deleted by the rules. */
  readonly purged: readonly SetNumber[];
  /** Number of sets that are kept only because they are too young to delete. */
  readonly young: number;
  /** True if the rules were applied as for an account that must not delete sets. */
  readonly isCautious: boolean;
  /** Tags in the rules that no set has. */
  readonly unusedTags: readonly string[];
  /** True if the rules were not applied because the clock is in doubt. */
  readonly isClockInDoubt: boolean;
  /** The reason why the rules could not be applied: those stored with the client are invalid. */
  readonly purgeFailure: string | undefined;
}

/**
 * Does the work that is due in a client: forgets paths, deletes sets by the rules and to gain space, and collects
 * garbage. Garbage is collected in this thread, in slices. Throws CLIENT_BUSY if the client is in use, INTERRUPTED if
 * `signal` is aborted.
 */
export async function collectGarbageHere(
  system: System,
  directory: ClientDirectory,
  work: GcWork,
  signal: AbortSignal,
): Promise<GcResult> {
  const keys = newestKeys(system, directory.path);
  const isEncrypted = keys !== undefined && parseKeyRecord(keys.bytes).isEncrypting;
  const frames = isEncrypted ? undefined : { native: system.native, keys: undefined };
  const { early: goal, purge, limits, graceMs, wasteRatio, isThorough } = work;
  const options = { limits, graceMs, wasteRatio, isThorough, frames, signal };
  const forgot = isEncrypted ? NOTHING_FORGOTTEN : await forgetDue(system, directory, work, signal);
  const present = forgot.forgotten > 0 ? reopenClient(system, directory) : directory;
  const report = purge && (await followRules(system, present, work, purge));
  const early = goal === undefined ? [] : await deleteForSpace(system, present, goal, options);
  const done = await collectGarbage(system, present, options);
  const { gone: purged = [], verdicts = [], unusedTags = [] } = report ?? {};
  const { isClockInDoubt = false, purgeFailure } = report ?? {};
  const young = verdicts.filter(isOnlyYoung).length;
  const isCautious = purge?.resistsFloods === true;
  const cautions = { isCautious, isClockInDoubt, unusedTags };
  return { ...done, ...forgot, early, purged, young, ...cautions, purgeFailure };
}

function isOnlyYoung({ reasons }: Verdict): boolean {
  return reasons.length > 0 && reasons.every(({ why }) => why === 'young');
}

type Forgotten = Pick<GcResult, 'forgotten' | 'forgetFailure'>;
const NOTHING_FORGOTTEN: Forgotten = { forgotten: 0, forgetFailure: undefined };

/**
 * Rewrites the client without the paths that are due to be forgotten, unless the clock is in doubt. Before that,
 * finishes an earlier rewrite that was interrupted. A failure of the rewrite is returned as `forgetFailure`. A client
 * that encrypts has to use its own keys (`sonic forget-path --finish`). Throws CLIENT_BUSY if the client is in use,
 * INTERRUPTED if it is aborted.
 */
async function forgetDue(
  system: System,
  directory: ClientDirectory,
  work: GcWork,
  signal: AbortSignal,
): Promise<Forgotten> {
  const { due, isInDoubt } = dueHere(system, directory);
  const hasSecond = system.files.status(secondGenerationPath(directory)) !== undefined;
  if (due.length === 0 && !hasSecond) return NOTHING_FORGOTTEN;
  if (hasSecond) {
    const { finishSwitched } = await import('../../maintenance/rewrite/index.js'); // rarely needed
    await finishSwitched(system, directory);
  }
  if (due.length === 0 || !work.forgets) return NOTHING_FORGOTTEN;
  if (isInDoubt) {
    const why = 'the clock has jumped, or nobody backed up for long';
    return { forgotten: 0, forgetFailure: `${why}: \`sonic forget-path --finish\` deletes it now` };
  }
  try {
    // Runs in a thread of its own: it rewrites the whole client, and this thread has other sessions too.
    const { umask, skipFile, leastFreeBytes } = work;
    const limits = { ...work.limits, leastFreeBytes };
    const task = { kind: 'forget', requests: due, skipFile } as const;
    await runJobThread({ directory, limits, umask, work: task }, signal);
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

type Purged = Partial<Awaited<ReturnType<typeof purgeByRules>>> & {
  readonly purgeFailure?: string;
};

/**
 * Purges sets by the rules. Invalid rules purge nothing and do not block garbage collection: the result then has the
 * error's message. Throws CLIENT_BUSY if the client is in use.
 */
async function followRules(
  system: System,
  directory: ClientDirectory,
  { limits }: GcWork,
  purge: ServerPurge,
): Promise<Purged> {
  try {
    return await purgeByRules(system, directory, limits, purgeRequestFor(purge));
  } catch (error) {
    if (!(error instanceof TardisError) || error.code !== 'CONFIG_INVALID') throw error;
    return { purgeFailure: error.message };
  }
}
