/**
 * Changes of whole sets outside of backups: deletions and new marks. Each change is one event, durable before it is
 * acknowledged. A change takes the client's lock for a moment. Throws CLIENT_BUSY if another process has the lock.
 */
import { type BackupSet, Catalog } from '../catalog/index.js';
import { TardisError } from '../../errors/index.js';
import { areSameMarks, marksAfter, type SetChange, type SetNumber } from '../../model/index.js';
import type { ClientDirectory, StoreEvent } from '../index.js';
import { setsOlderThan } from '../../retention/index.js';
import type { System } from '../../system/index.js';
import { type StoreLimits, withWriter } from './store-writer.js';
import { isClockInDoubt } from './monotonic-ages.js';
import { requireNoSecond } from './second-generation.js';

/**
 * Deletes sets. When it resolves, the sets are durably removed from every list. Their data takes space until garbage
 * collection. Refuses sets younger than `leastAgeMs` by the clock of this machine. Throws NO_SUCH_SET, SET_IS_NEWEST,
 * SET_LOCKED, SET_TOO_YOUNG, CLIENT_BUSY.
 */
export async function deleteSets(
  system: System,
  directory: ClientDirectory,
  {
    limits,
    sets,
    leastAgeMs,
  }: {
    readonly limits: StoreLimits;
    readonly sets: readonly SetNumber[];
    readonly leastAgeMs: number;
  },
): Promise<void> {
  const nowMs = system.clock.nowMs();
  await changeSets(system, directory, limits, (listed) => {
    requireAllDroppable(directory.client, listed, sets, { leastAgeMs, nowMs });
    return [{ type: 'sets-deleted', sets }];
  });
}

/** Throws the error with which `deleteSets` would refuse these sets now. Does not detect CLIENT_BUSY. */
export function previewDelete(
  system: System,
  directory: ClientDirectory,
  sets: readonly SetNumber[],
  leastAgeMs: number,
): void {
  const listed = Catalog.reading(system, directory.catalogPath, (catalog) => catalog.sets.listed());
  requireAllDroppable(directory.client, listed, sets, { leastAgeMs, nowMs: system.clock.nowMs() });
}

function requireAllDroppable(
  client: string,
  listed: readonly BackupSet[],
  sets: readonly SetNumber[],
  { leastAgeMs, nowMs }: { readonly leastAgeMs: number; readonly nowMs: number },
): void {
  const isInDoubt = leastAgeMs > 0 && isClockInDoubt(listed, nowMs);
  const old = isInDoubt ? undefined : setsOlderThan(leastAgeMs, listed, nowMs);
  for (const set of sets) {
    requireDroppable(client, listed, set);
    if (leastAgeMs === 0 || old?.has(set) === true) continue;
    const age = `${Math.ceil(leastAgeMs / 1000)} seconds`;
    const why = `${set} of "${client}" is not surely older than ${age} (LeastAge)`;
    throw new TardisError('SET_TOO_YOUNG', why);
  }
}

/**
 * Changes the marks of all given sets, or of none if one of them fails. Throws NO_SUCH_SET, MARKS_INVALID, CLIENT_BUSY.
 */
export async function markSets(
  system: System,
  directory: ClientDirectory,
  limits: StoreLimits,
  { sets, change }: { readonly sets: readonly SetNumber[]; readonly change: SetChange },
): Promise<void> {
  await changeSets(system, directory, limits, (listed) =>
    [...new Set(sets)].flatMap((set) => {
      const before = requireListed(directory.client, listed, set);
      const marks = marksAfter(directory.client, before, change);
      return areSameMarks(before.marks, marks) ? [] : [{ type: 'set-marked', set, marks }];
    }),
  );
}

/**
 * Writes the events that `eventsOf` returns for the present sets. After an interruption, all of them are durable or
 * none is. Throws CLIENT_BUSY.
 */
export async function changeSets(
  system: System,
  directory: ClientDirectory,
  limits: StoreLimits,
  eventsOf: (listed: readonly BackupSet[], catalog: Catalog) => readonly StoreEvent[],
): Promise<void> {
  await withWriter(system, directory, limits, async (store) => {
    await requireNoSecond(system, directory);
    const events = eventsOf(store.catalog.sets.listed(), store.catalog);
    for (const event of events) store.writeEvent(event);
    if (events.length > 0) await store.checkpoint();
  });
}

function requireListed(client: string, listed: readonly BackupSet[], set: SetNumber): BackupSet {
  const found = listed.find((one) => one.set === set);
  if (found !== undefined) return found;
  throw new TardisError('NO_SUCH_SET', `"${client}" has no backup set ${set}`);
}

/**
 * Throws if a set is locked or needed. The newest complete set is needed: the next backup is compared with it, and a
 * client that encrypts expects it. A later unfinished set is needed too, since the next backup continues it.
 */
function requireDroppable(client: string, listed: readonly BackupSet[], set: SetNumber): void {
  const { isLocked } = requireListed(client, listed, set).marks;
  if (isLocked) throw new TardisError('SET_LOCKED', `${set} of "${client}" is locked`);
  const newest = listed.findLast(({ state }) => state === 'complete')?.set ?? 0;
  if (set < newest) return;
  const what =
    set === newest ? 'is the newest complete set' : 'is what the next backup goes on with';
  throw new TardisError('SET_IS_NEWEST', `${set} ${what} of "${client}"`);
}
