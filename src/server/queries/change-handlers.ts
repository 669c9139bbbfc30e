/** Handlers of questions that delete sets, change their marks or settings, or forget paths. */
import type { Handlers } from '../../history/index.js';
import { TardisError } from '../../errors/index.js';
import { previewPurgeOf, purgeByRules, type PurgeRequest } from '../../maintenance/gc/index.js';
import type { ClientDirectory } from '../../store/index.js';
import type { Catalog } from '../../store/catalog/index.js';
import {
  requestForgets,
  changeSetting,
  deleteSets,
  forgetRequestsOf,
  markSets,
  previewDelete,
  type StoreLimits,
  withdrawForget,
} from '../../store/writer/index.js';
import type { System } from '../../system/index.js';
import type { BackgroundJobs } from '../jobs/background-jobs.js';

/** Limits for deleting sets over the network, and the server's retention rules. */
export interface PurgeRights {
  readonly leastAgeMs: number;
  /** Minimum time between a request to forget a path and its due date. */
  readonly forgetAfterMs: number;
  readonly purgeRequestFor: (catalog: Catalog) => PurgeRequest;
}

/** The client's store, and the limits for its changes. */
interface ChangedStore {
  readonly system: System;
  readonly directory: ClientDirectory;
  readonly limits: StoreLimits;
  readonly rights: PurgeRights;
}

export function setHandlers({
  system,
  directory,
  limits,
  rights: { leastAgeMs, purgeRequestFor },
}: ChangedStore): Pick<
  Handlers,
  'deleteSets' | 'markSets' | 'purgeSets' | 'previewPurge' | 'changeSetting'
> {
  return {
    deleteSets: async ({ sets, preview }) => {
      if (preview) previewDelete(system, directory, sets, leastAgeMs);
      else await deleteSets(system, directory, { limits, sets, leastAgeMs });
    },
    markSets: ({ sets, change }) => markSets(system, directory, limits, { sets, change }),
    purgeSets: () => purgeByRules(system, directory, limits, purgeRequestFor),
    previewPurge: async () => previewPurgeOf(system, directory, purgeRequestFor),
    changeSetting: ({ key, value }) =>
      changeSetting(system, directory, limits, { text: key, value }),
  };
}

export function forgetHandlers(
  { system, directory, limits, rights: { leastAgeMs, forgetAfterMs } }: ChangedStore,
  jobs: BackgroundJobs,
): Pick<Handlers, 'forgetPaths' | 'withdrawForgets' | 'readForgets'> {
  const all = () => ({ requests: forgetRequestsOf(system, directory) });
  return {
    forgetPaths: async ({ paths, undoMs, preview }) => {
      const report = await jobs.previewForget(paths);
      if (preview) return { requests: [], report };
      const { lockedSets } = report;
      if (lockedSets > 0)
        throw new TardisError('SET_LOCKED', `it is in locked sets (${lockedSets})`);
      // Waits for the least age of sets too, so that no young set is deleted path by path.
      const afterMs = Math.max(undoMs, forgetAfterMs, leastAgeMs);
      return {
        requests: await requestForgets(system, directory, { limits, paths, undoMs: afterMs }),
      };
    },
    withdrawForgets: async ({ ids }) => {
      await withdrawForget(system, directory, limits, ids);
      return all();
    },
    readForgets: async () => all(),
  };
}
