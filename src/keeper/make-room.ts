/**
 * Early purge: when space runs low, expendable sets of the client that has grown go, one after the other, until there
 * is room again. Which may go says early-purge.ts; nothing else of the client is touched.
 */
import type { ClientDirectory, StoreEvent } from '../store/index.js';
import { throwIfAborted } from '../errors/index.js';
import type { System } from '../system/index.js';
import { type EarlySet, setsToPurgeEarly } from './early-purge.js';
import { rootsText } from './purge.js';
import { isClockInDoubt } from './set-stamps.js';
import { changeSets } from './set-changes.js';
import { keepUp, type UpkeepOptions } from './upkeep.js';

export interface EarlyWish {
  /** Of the file system with the store: with less, sets go. */
  readonly belowBytes: number;
  /** By the server's clock; younger sets stay. */
  readonly leastAgeMs: number;
}

/**
 * Drops sets until there is room, and frees what they held at once: who reads it meanwhile finds the set gone. Ends
 * also when a session wants the client. Returns the sets. Throws CLIENT_BUSY, INTERRUPTED.
 */
export async function purgeEarly(
  system: System,
  directory: ClientDirectory,
  wish: EarlyWish,
  options: UpkeepOptions,
): Promise<number[]> {
  const dropped: number[] = [];
  for (;;) {
    throwIfAborted(options.signal);
    const missingBytes = wish.belowBytes - system.files.freeBytes(directory.path);
    if (missingBytes <= 0) return dropped;
    const set = await dropOne(system, directory, wish, options, missingBytes);
    if (set === undefined) return dropped;
    dropped.push(set);
    const { isDone } = await keepUp(system, directory, { ...options, graceMs: 0 });
    if (!isDone) return dropped;
  }
}

async function dropOne(
  system: System,
  directory: ClientDirectory,
  { leastAgeMs }: EarlyWish,
  { limits }: UpkeepOptions,
  neededBytes: number,
): Promise<number | undefined> {
  const nowMs = system.clock.nowMs();
  let chosen: number | undefined;
  await changeSets(system, directory, limits, (listed, catalog): StoreEvent[] => {
    const sets = listed
      .filter(({ state }) => state !== 'superseded')
      .map(
        ({ set, state, openedAtMs, closedAtMs, marks }): EarlySet => ({
          set,
          state: state === 'complete' ? 'complete' : 'unfinished',
          openedAtMs,
          closedAtMs,
          isExpendable: marks.isExpendable,
          isLocked: marks.isLocked,
          roots: rootsText(catalog, set),
          freedBytes: 0, // known once it is gone
        }),
      );
    if (isClockInDoubt(listed, nowMs)) return [];
    [chosen] = setsToPurgeEarly(sets, { neededBytes, nowMs, leastAgeMs });
    return chosen === undefined ? [] : [{ type: 'dropped', sets: [chosen] }];
  });
  return chosen;
}
