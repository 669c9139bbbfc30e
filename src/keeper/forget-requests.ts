/** Requests to forget paths: each is an event, durable when it is told, and until its time has come can be taken back. */
import { Catalog, ForgettingCopy, isUnusedClient } from '../catalog/index.js';
import { TardisError } from '../errors/index.js';
import {
  type ForgetReport,
  type ForgetRequest,
  isForgetRequest,
  MAX_FORGET_REQUESTS,
} from '../model/index.js';
import type { ClientDirectory, StoreEvent } from '../store/index.js';
import type { System } from '../system/index.js';
import type { StoreLimits } from './client-store.js';
import { changeSets } from './set-changes.js';

const NOTHING: ForgetReport = {
  versions: 0,
  fileBytes: 0,
  sets: 0,
  lockedSets: 0,
  rootsBelow: 0,
  isInNewest: false,
  contents: 0,
  contentBytes: 0,
  heldElsewhere: 0,
};

/** What would be forgotten, were it done now: nothing is changed. Throws CATALOG_DAMAGED, DISK_FULL, CLIENT_BUSY. */
export function previewForget(
  system: System,
  directory: ClientDirectory,
  paths: readonly Buffer[],
): ForgetReport {
  if (isUnusedClient(system, directory.catalogPath)) return NOTHING;
  const all = paths.map((path) => ({ path, lastSet: Number.MAX_SAFE_INTEGER }));
  const copy = ForgettingCopy.make(system, directory.catalogPath, all);
  copy.close();
  return copy.report;
}

/**
 * Asks for paths to be forgotten in all sets there are, `undoMs` from now. Returns the requests. Throws CLIENT_BUSY,
 * USAGE when there are too many already.
 */
export async function askToForget(
  system: System,
  directory: ClientDirectory,
  limits: StoreLimits,
  paths: readonly Buffer[],
  undoMs: number,
): Promise<readonly ForgetRequest[]> {
  const askedAtMs = system.clock.nowMs();
  let asked: readonly ForgetRequest[] = [];
  await changeSets(system, directory, limits, (_listed, catalog): StoreEvent[] => {
    const before = catalog.forgets.all();
    if (before.length + paths.length > MAX_FORGET_REQUESTS) {
      const what = `"${directory.client}" has ${before.length} requests to forget already`;
      throw new TardisError('USAGE', `${what}: there may be ${MAX_FORGET_REQUESTS}`);
    }
    const first = (before.at(-1)?.id ?? 0) + 1;
    const lastSet = catalog.sets.all().at(-1)?.set ?? 0;
    const dueAtMs = askedAtMs + undoMs;
    asked = paths.map((path, index) => ({ id: first + index, path, lastSet, askedAtMs, dueAtMs }));
    if (!asked.every(isForgetRequest)) {
      throw new TardisError('USAGE', 'there are no sets yet, or the undo period is too long');
    }
    return asked.map((request) => ({ type: 'forget-asked', ...request }));
  });
  return asked;
}

/** Those there are, by their ids. Throws what opening a catalog throws. */
export function forgetRequestsOf(
  system: System,
  directory: ClientDirectory,
): readonly ForgetRequest[] {
  return Catalog.reading(system, directory.catalogPath, ({ forgets }) => forgets.all());
}

/** Takes requests back. Throws NO_SUCH_REQUEST, CLIENT_BUSY. */
export async function withdrawForget(
  system: System,
  directory: ClientDirectory,
  limits: StoreLimits,
  ids: readonly number[],
): Promise<void> {
  await changeSets(system, directory, limits, (_listed, catalog): StoreEvent[] => {
    requireRequests(directory.client, catalog.forgets.all(), ids);
    return ids.map((id) => ({ type: 'forget-withdrawn', id }));
  });
}

/** Whether there are requests of these ids. Throws NO_SUCH_REQUEST. */
export function requireRequests(
  client: string,
  requests: readonly ForgetRequest[],
  ids: readonly number[],
): void {
  const known = new Set(requests.map(({ id }) => id));
  const unknown = ids.find((id) => !known.has(id));
  if (unknown === undefined) return;
  const what = `"${client}" has no request ${unknown} to forget anything`;
  throw new TardisError('NO_SUCH_REQUEST', what);
}

/** Those whose time has come by this clock; whether it can be trusted is for the caller to know. */
export function dueForgets(
  requests: readonly ForgetRequest[],
  nowMs: number,
): readonly ForgetRequest[] {
  return requests.filter(({ dueAtMs }) => dueAtMs <= nowMs);
}
