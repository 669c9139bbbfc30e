/**
 * What is changed of whole sets outside of backups: they are given up, or get other marks. Each change is one event,
 * durable when it is told. Whoever asks gets the client's lock for a moment, or is told that it is busy.
 */
import { applyEvent, type BackupSet, Catalog } from '../catalog/index.js';
import { TardisError } from '../errors/index.js';
import { areSameMarks, marksAfter, type SetChange } from '../model/index.js';
import {
  buildEvent,
  type ClientDirectory,
  secondGenerationPath,
  type StoreEvent,
} from '../store/index.js';
import type { System } from '../system/index.js';
import { ClientStore, type StoreLimits } from './client-store.js';
import { isOldEnough, seenMoments } from './set-ages.js';
import { isClockInDoubt } from './set-stamps.js';

/**
 * Drops sets. They are gone from every list when it returns, durably; what they held takes room until upkeep.
 * None that is younger than `leastAgeMs` by the clock of this machine. Throws NO_SUCH_SET, SET_IS_NEWEST, SET_LOCKED,
 * SET_TOO_YOUNG, CLIENT_BUSY.
 */
export async function dropSets(
  system: System,
  directory: ClientDirectory,
  limits: StoreLimits,
  sets: readonly number[],
  leastAgeMs: number,
): Promise<void> {
  const nowMs = system.clock.nowMs();
  await changeSets(system, directory, limits, (listed) => {
    requireAllDroppable(directory.client, listed, sets, leastAgeMs, nowMs);
    return [{ type: 'dropped', sets }];
  });
}

/** Whether they could be dropped now. Throws what `dropSets` throws, but for CLIENT_BUSY. */
export function previewDrop(
  system: System,
  directory: ClientDirectory,
  sets: readonly number[],
  leastAgeMs: number,
): void {
  const listed = Catalog.reading(system, directory.catalogPath, (catalog) => catalog.sets.listed());
  requireAllDroppable(directory.client, listed, sets, leastAgeMs, system.clock.nowMs());
}

function requireAllDroppable(
  client: string,
  listed: readonly BackupSet[],
  sets: readonly number[],
  leastAgeMs: number,
  nowMs: number,
): void {
  const seen = seenMoments(listed);
  const isInDoubt = leastAgeMs > 0 && isClockInDoubt(listed, nowMs);
  for (const set of sets) {
    requireDroppable(client, listed, set);
    const isOld = !isInDoubt && isOldEnough(seen.get(set), nowMs, leastAgeMs);
    if (leastAgeMs === 0 || isOld) continue;
    const age = `${Math.ceil(leastAgeMs / 1000)} seconds`;
    const why = `${set} of "${client}" is not surely older than ${age} (LeastAge)`;
    throw new TardisError('SET_TOO_YOUNG', why);
  }
}

/** Changes the marks of sets, all or none. Throws NO_SUCH_SET, MARKS_INVALID, CLIENT_BUSY. */
export async function markSets(
  system: System,
  directory: ClientDirectory,
  limits: StoreLimits,
  sets: readonly number[],
  wish: SetChange,
): Promise<void> {
  await changeSets(system, directory, limits, (listed) =>
    [...new Set(sets)].flatMap((set) => {
      const before = requireListed(directory.client, listed, set);
      const marks = marksAfter(directory.client, before, wish);
      return areSameMarks(before.marks, marks) ? [] : [{ type: 'set-marked', set, marks }];
    }),
  );
}

/** Writes the events that follow from the sets there are; all are durable, or none is. Throws CLIENT_BUSY. */
export async function changeSets(
  system: System,
  directory: ClientDirectory,
  limits: StoreLimits,
  eventsOf: (listed: readonly BackupSet[], catalog: Catalog) => readonly StoreEvent[],
): Promise<void> {
  const store = await ClientStore.open(system, directory, limits);
  try {
    requireNoSecond(system, directory);
    const events = eventsOf(store.catalog.sets.listed(), store.catalog);
    for (const event of events) {
      store.appendOwn(buildEvent(store.nextSequence(), event));
      applyEvent(store.catalog, event);
    }
    if (events.length > 0) await store.checkpoint();
    store.close();
  } catch (error) {
    throw store.letGo(error);
  }
}

function requireListed(client: string, listed: readonly BackupSet[], set: number): BackupSet {
  const found = listed.find((one) => one.set === set);
  if (found !== undefined) return found;
  throw new TardisError('NO_SUCH_SET', `"${client}" has no backup set ${set}`);
}

/**
 * The newest complete set is what the next backup is compared with, and what a client that encrypts expects; a
 * later one that was broken off is what it goes on with.
 */
function requireDroppable(client: string, listed: readonly BackupSet[], set: number): void {
  const { isLocked } = requireListed(client, listed, set).marks;
  if (isLocked) throw new TardisError('SET_LOCKED', `${set} of "${client}" is locked`);
  const newest = listed.findLast(({ state }) => state === 'complete')?.set ?? 0;
  if (set < newest) return;
  const what =
    set === newest ? 'is the newest complete set' : 'is what the next backup goes on with';
  throw new TardisError('SET_IS_NEWEST', `${set} ${what} of "${client}"`);
}

/** What is being written anew is read from here, set by set. Throws CLIENT_BUSY. */
export function requireNoSecond({ files }: System, directory: ClientDirectory): void {
  if (files.status(secondGenerationPath(directory)) === undefined) return;
  throw new TardisError('CLIENT_BUSY', `"${directory.client}" is being written anew (sonic rekey)`);
}
