/**
 * Purge by rules: decides which sets of a client are kept, and gives the reasons. The other sets are deleted at once,
 * in one event.
 */
import { machineText, type SetNumber } from '../../model/index.js';
import { type BackupSet, Catalog } from '../../store/catalog/index.js';
import {
  decideRetention,
  type Decision,
  type RetentionSet,
  type RetentionOptions,
} from '../../retention/index.js';
import type { ClientDirectory, StoreEvent } from '../../store/index.js';
import type { System } from '../../system/index.js';
import type { StoreLimits } from '../../store/writer/index.js';
import { changeSets } from '../../store/writer/index.js';
import { ageIn } from '../../store/writer/index.js';

export type PurgeRequest = Omit<RetentionOptions, 'nowMs'>;

interface PurgeReport extends Decision {
  /** Numbers of the deleted sets, or (in a preview) of those that would be deleted. */
  readonly gone: readonly SetNumber[];
}

/**
 * Applies the rules to all listed sets, and deletes those that no rule keeps. Throws CLIENT_BUSY if the client is in
 * use, and the errors of `purgeRequestFor`.
 */
export async function purgeByRules(
  system: System,
  directory: ClientDirectory,
  limits: StoreLimits,
  purgeRequestFor: (catalog: Catalog) => PurgeRequest,
): Promise<PurgeReport> {
  let report: PurgeReport | undefined;
  await changeSets(system, directory, limits, (_, catalog): StoreEvent[] => {
    report = previewPurge(catalog, purgeRequestFor(catalog), system.clock.nowMs());
    return report.gone.length === 0 ? [] : [{ type: 'sets-deleted', sets: report.gone }];
  });
  return report!;
}

/** Returns the report that `purgeByRules` would return, and deletes nothing. */
function previewPurge(catalog: Catalog, request: PurgeRequest, nowMs: number): PurgeReport {
  const { sets } = catalog;
  const judged = sets.listed().map((set) => retentionSet(set, rootsText(catalog, set.set)));
  const decision = decideRetention(judged, { ...request, nowMs });
  const gone = decision.verdicts.filter(({ reasons }) => reasons.length === 0);
  return { ...decision, gone: gone.map(({ set }) => set) };
}

/**
 * Returns the report that `purgeByRules` would return, without the client's lock. Throws the errors of opening
 * a catalog.
 */
export function previewPurgeOf(
  system: System,
  directory: ClientDirectory,
  purgeRequestFor: (catalog: Catalog) => PurgeRequest,
): PurgeReport {
  return Catalog.reading(system, directory.catalogPath, (catalog) =>
    previewPurge(catalog, purgeRequestFor(catalog), system.clock.nowMs()),
  );
}

/** Returns a text that is equal for sets of the same roots. */
export function rootsText({ sets }: Catalog, set: SetNumber): string {
  return sets
    .rootsOf(set)
    .map(({ root }) => root)
    .join(' ');
}

/** Returns a set in the form that the rules use; `roots` is a text that is equal for sets of the same roots. */
export function retentionSet(set: BackupSet, roots: string): RetentionSet {
  const { priority, isLocked, tags } = set.marks;
  return {
    set: set.set,
    openedAtMs: set.openedAtMs,
    age: ageIn(set),
    isComplete: set.state === 'complete',
    isDoubtful: set.isDoubtful,
    priority,
    isLocked,
    tags,
    series: `${roots} ${machineText(set.marks)}`,
  };
}
