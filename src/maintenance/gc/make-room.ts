/**
 * Early purge: when space runs low, deletes expendable sets of the client that has grown, one after the other, until
 * there is enough space. early-purge.ts decides which sets may be deleted. Nothing else of the client is changed.
 */
import { machineText, type SetNumber } from '../../model/index.js';
import type { ClientDirectory, StoreEvent } from '../../store/index.js';
import { throwIfAborted } from '../../errors/index.js';
import type { System } from '../../system/index.js';
import { type EarlySet, setsToDeleteForSpace } from './early-purge.js';
import { rootsText } from './purge.js';
import { isClockInDoubt } from '../../store/writer/index.js';
import { changeSets } from '../../store/writer/index.js';
import { collectGarbage, type GcOptions } from './collect-garbage.js';

export interface MakeRoomOptions {
  /** Free bytes of the store's file system below which sets are deleted. */
  readonly belowBytes: number;
  /** Minimum age of the sets to delete, by the server's clock. */
  readonly leastAgeMs: number;
}

/**
 * Deletes sets until there is enough space, and frees their data at once. A reader of such a set gets an error. Ends
 * early if a session requests the client's lock. Returns the deleted sets. Throws CLIENT_BUSY if the client is in use,
 * INTERRUPTED if it is aborted.
 */
export async function deleteForSpace(
  system: System,
  directory: ClientDirectory,
  goal: MakeRoomOptions,
  options: GcOptions,
): Promise<SetNumber[]> {
  const deleted: SetNumber[] = [];
  for (;;) {
    throwIfAborted(options.signal);
    const missingBytes = goal.belowBytes - system.files.freeBytes(directory.path);
    if (missingBytes <= 0) return deleted;
    const set = await dropOne(system, directory, {
      ...goal,
      ...options,
      neededBytes: missingBytes,
    });
    if (set === undefined) return deleted;
    deleted.push(set);
    const { isDone } = await collectGarbage(system, directory, { ...options, graceMs: 0 });
    if (!isDone) return deleted;
  }
}

async function dropOne(
  system: System,
  directory: ClientDirectory,
  {
    leastAgeMs,
    limits,
    neededBytes,
  }: MakeRoomOptions & GcOptions & { readonly neededBytes: number },
): Promise<SetNumber | undefined> {
  const nowMs = system.clock.nowMs();
  let chosen: SetNumber | undefined;
  await changeSets(system, directory, limits, (listed, catalog): StoreEvent[] => {
    const sets = listed
      .filter(({ state }) => state !== 'superseded')
      .map(
        ({ set, state, openedAtMs, closedAtMs, isDoubtful, marks }): EarlySet => ({
          set,
          state: state === 'complete' ? 'complete' : 'unfinished',
          isDoubtful,
          openedAtMs,
          closedAtMs,
          isExpendable: marks.isExpendable,
          isLocked: marks.isLocked,
          series: `${rootsText(catalog, set)} ${machineText(marks)}`,
          freedBytes: 0, // known only after the deletion, so the decision is repeated then
        }),
      );
    if (isClockInDoubt(listed, nowMs)) return [];
    [chosen] = setsToDeleteForSpace(sets, { neededBytes, nowMs, leastAgeMs });
    return chosen === undefined ? [] : [{ type: 'sets-deleted', sets: [chosen] }];
  });
  return chosen;
}
