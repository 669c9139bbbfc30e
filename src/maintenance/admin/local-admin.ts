/** Changes of a client in a store on this machine, and the seals of an encrypting client's changes. */
import path from 'node:path';
import { Opened } from '../../errors/index.js';
import type { BackupSet, History, Verdicts } from '../../history/index.js';
import type { Keyring } from '../../crypto/index.js';
import type { ForgetRequest, SetChange } from '../../model/index.js';
import { Catalog, settingsOf } from '../../store/catalog/index.js';
import { changeQuota, type ClientDirectory } from '../../store/index.js';
import {
  requestForgets,
  changeSetting,
  deleteSets,
  forgetRequestsOf,
  markDamaged,
  markSets,
  ownRulesFor,
  previewDelete,
  previewForget,
  type StoreLimits,
  withdrawForget,
} from '../../store/writer/index.js';
import type { System } from '../../system/index.js';
import {
  collectGarbage,
  type GcReport,
  previewPurgeOf,
  purgeByRules,
  type PurgeRequest,
} from '../gc/index.js';
import type { Admin, FreeRequest, WorkHooks } from './admin.js';

export interface LocalAdminOptions {
  readonly directory: ClientDirectory;
  readonly limits: StoreLimits;
  /** The client's keys; undefined if the client does not encrypt, or if a check is to be done without them. */
  readonly keyring: Keyring | undefined;
  /** True if the client encrypts, or may do so because its key record is damaged. */
  readonly isEncrypted: () => boolean;
  /** Number of free bytes below which no backup begins. Then unneeded files are deleted at once. */
  readonly wantedFreeBytes?: number;
  /** Opens the client for reading, with the keys. */
  readonly openHistory: () => History;
}

export function localAdmin(system: System, client: LocalAdminOptions): Admin {
  const { directory, limits, keyring } = client;
  let acceptOlder: ((what: string) => void) | undefined;
  const admin: Admin = {
    keyring,
    acceptOlder: (report) => {
      acceptOlder = report;
    },
    sets: () => setsOf(client, acceptOlder),
    deleteSets: (gone) => deleteSets(system, directory, { limits, sets: gone, leastAgeMs: 0 }),
    previewDelete: async (gone) => previewDelete(system, directory, gone, 0),
    previewPurge: async (request) => previewPurgeOf(system, directory, () => request),
    purge: (request, previewed) =>
      purgeByRules(system, directory, limits, () => ({
        ...request,
        previewed: new Set(previewed),
      })),
    keptRules: (words) =>
      Catalog.reading(system, directory.catalogPath, (catalog) => ownRulesFor(catalog, words)),
    mark: (marked, change) => markSets(system, directory, limits, { sets: marked, change }),
    forgets: async () => forgetRequestsOf(system, directory),
    previewForget: async (paths) => previewForget(system, directory, paths),
    requestForgets: (paths, undoMs) => requestForgets(system, directory, { limits, paths, undoMs }),
    withdrawForget: (ids) => withdrawForget(system, directory, limits, ids),
    settings: async () =>
      Catalog.reading(system, directory.catalogPath, (catalog) =>
        [...settingsOf(catalog)].map(([key, value]) => ({ key, value })),
      ),
    changeSetting: (key, value) => changeSetting(system, directory, limits, { text: key, value }),
    changeQuota: (quotaBytes) =>
      changeQuota(system, path.dirname(directory.path), directory.client, quotaBytes),
    // The code of checks and repairs is loaded only when it is needed, since most runs need neither.
    check: async (request, hooks) =>
      (await import('./local-check.js')).checkHere(system, client, request, hooks),
    freeDeleted: (request, hooks) => free(system, client, { ...request, isThorough: false }, hooks),
    freeUnneeded: (request, hooks) => free(system, client, { ...request, isThorough: true }, hooks),
    markDamaged: (digests) => markDamaged(system, directory, limits, digests),
    strangePacks: async () => (await import('../check/index.js')).strangePacksOf(system, directory),
    parity: async () => (await import('./local-check.js')).parityHere(system, directory),
    repair: async (options) =>
      (await import('./local-check.js')).repairHere(system, client, options),
    close: () => undefined,
    [Symbol.dispose]: () => undefined,
  };
  return keyring === undefined ? admin : sealedAdmin(admin, keyring);
}

/**
 * Returns the listed sets. The history is closed at once, since an open reader of the catalog would block writers in
 * this thread.
 */
async function setsOf(
  { openHistory }: LocalAdminOptions,
  acceptOlder: ((what: string) => void) | undefined,
): Promise<BackupSet[]> {
  using opened = new Opened();
  const history = opened.add(openHistory(), (one) => one.close());
  if (acceptOlder !== undefined) history.acceptOlder?.(acceptOlder);
  return await history.sets();
}

/** Collects garbage. `isThorough` scans the whole client, even if nothing indicates that space can be freed. */
function free(
  system: System,
  { directory, limits, keyring, wantedFreeBytes }: LocalAdminOptions,
  request: FreeRequest & { readonly isThorough: boolean },
  { signal, onProgress }: WorkHooks,
): Promise<GcReport> {
  return collectGarbage(system, directory, {
    ...request,
    limits,
    graceMs: 0, // 0, since a reader that misses a file looks for its new place
    ...(wantedFreeBytes === undefined ? {} : { wantedFreeBytes }),
    frames: { native: system.native, keys: keyring?.contents },
    signal,
    onProgress: (step, done, of) =>
      onProgress(of === undefined ? { step, done } : { step, done, of }),
  });
}

/**
 * Returns an `Admin` for an encrypting client. It seals names, titles, tags and paths in requests and calls `admin`, and
 * opens those in results. It leaves sets and findings as they are: the history opens the names of sets, and the check
 * opens the paths of findings.
 */
export function sealedAdmin(admin: Admin, keyring: Keyring): Admin {
  const { names } = keyring;
  const text = (words: string): string => names.text(words);
  const paths = (all: readonly Buffer[]): readonly Buffer[] => all.map((path) => names.path(path));
  const opened = (requests: readonly ForgetRequest[]): readonly ForgetRequest[] =>
    requests.map((request) => ({ ...request, path: names.openPath(request.path) }));
  const sealed = ({ rules, ...request }: PurgeRequest): PurgeRequest => ({
    ...request,
    rules: { ...rules, keepTags: rules.keepTags.map(text) },
  });
  const withTags = (answer: Verdicts): Verdicts => ({
    ...answer,
    unusedTags: answer.unusedTags.map((tag) => names.openText(tag)),
  });
  return {
    ...admin,
    keyring,
    previewPurge: async (request) => withTags(await admin.previewPurge(sealed(request))),
    purge: async (request, previewed) => withTags(await admin.purge(sealed(request), previewed)),
    mark: (sets, change) => admin.mark(sets, sealedChange(change, text)),
    forgets: async () => opened(await admin.forgets()),
    previewForget: (all) => admin.previewForget(paths(all)),
    requestForgets: async (all, undoMs) => opened(await admin.requestForgets(paths(all), undoMs)),
  };
}

function sealedChange(change: SetChange, seal: (text: string) => string): SetChange {
  const { title, addTags, removeTags } = change;
  return {
    ...change,
    title: title && seal(title),
    addTags: addTags?.map(seal),
    removeTags: removeTags?.map(seal),
  };
}
