/**
 * Requests to forget paths. Each request is an event, durable before it is acknowledged. It can be withdrawn until it
 * is due.
 */
import { Catalog, ForgettingCopy, isUnusedClient } from '../catalog/index.js';
import { TardisError, usageError } from '../../errors/index.js';
import {
  type ForgetReport,
  type ForgetRequest,
  isForgetRequest,
  MAX_FORGET_REQUESTS,
} from '../../model/index.js';
import type { ClientDirectory, StoreEvent } from '../index.js';
import type { System } from '../../system/index.js';
import type { StoreLimits } from './store-writer.js';
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

/**
 * Returns a report of the data that would be deleted if the paths were forgotten now. Changes nothing. Throws
 * CATALOG_DAMAGED, DISK_FULL, CLIENT_BUSY.
 */
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
 * Stores requests that paths be forgotten in all present sets after `undoMs`. Returns the requests. Throws CLIENT_BUSY;
 * USAGE if there are too many requests, no sets yet, or the time is too long.
 */
export async function requestForgets(
  system: System,
  directory: ClientDirectory,
  {
    limits,
    paths,
    undoMs,
  }: { readonly limits: StoreLimits; readonly paths: readonly Buffer[]; readonly undoMs: number },
): Promise<readonly ForgetRequest[]> {
  const requestedAtMs = system.clock.nowMs();
  let added: readonly ForgetRequest[] = [];
  await changeSets(system, directory, limits, (_listed, catalog): StoreEvent[] => {
    const before = catalog.forgets.all();
    if (before.length + paths.length > MAX_FORGET_REQUESTS) {
      const what = `"${directory.client}" has ${before.length} requests to forget already`;
      throw usageError(`${what}: there may be ${MAX_FORGET_REQUESTS}`);
    }
    const first = (before.at(-1)?.id ?? 0) + 1;
    const lastSet = catalog.sets.all().at(-1)?.set ?? 0;
    const dueAtMs = requestedAtMs + undoMs;
    added = paths.map((path, index) => ({
      id: first + index,
      path,
      lastSet,
      requestedAtMs,
      dueAtMs,
    }));
    if (!added.every(isForgetRequest)) {
      throw usageError('there are no sets yet, or the undo period is too long');
    }
    return added.map((request) => ({ type: 'forget-requested', ...request }));
  });
  return added;
}

/** Returns the client's requests, ordered by id. Throws the errors of opening a catalog. */
export function forgetRequestsOf(
  system: System,
  directory: ClientDirectory,
): readonly ForgetRequest[] {
  return Catalog.reading(system, directory.catalogPath, ({ forgets }) => forgets.all());
}

/** Withdraws requests. Throws NO_SUCH_REQUEST, CLIENT_BUSY. */
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

/** Throws NO_SUCH_REQUEST unless all these ids are ids of requests. */
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

/** Returns the requests that are due by this clock. The caller decides whether the clock can be trusted. */
export function dueForgets(
  requests: readonly ForgetRequest[],
  nowMs: number,
): readonly ForgetRequest[] {
  return requests.filter(({ dueAtMs }) => dueAtMs <= nowMs);
}
