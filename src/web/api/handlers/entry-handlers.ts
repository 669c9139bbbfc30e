/** Handlers of questions about entries, directories and contents. */
import {
  type BackupSet,
  coveringSets,
  type History,
  type HistoryEntry,
  isRestoredAlike,
  joinVersions,
  noSuchPath,
  type PathVersion,
  provenVersion,
} from '../../../history/index.js';
import { TardisError } from '../../../errors/index.js';
import { displayName, lastComponent, type SetNumber } from '../../../model/index.js';
import { sendContent } from '../content/send-content.js';
import { directoryPage } from '../directory-page.js';
import { mayBeKept } from '../door.js';
import { entryJson, setsShowing } from '../entry-json.js';
import { pathIn } from '../raw-query.js';
import type { Handlers } from '../register.js';
import type { Version } from '../schemas.js';
import { setOf } from '../set-of.js';

/**
 * Seconds for which an answer about a complete set may be cached. They are limited, since a path may be deleted from
 * all sets.
 */
const KEPT_SECONDS = 3600;

export const ENTRY_HANDLERS: Pick<Handlers, 'entry' | 'directory' | 'content' | 'versions'> = {
  entry: async ({ lease: { history }, setText, query }) => {
    const path = pathIn(query.path);
    const { set } = await setOf(history, setText);
    return entryJson(history, await entryAt(history, path, set), lastComponent(path));
  },
  directory: async ({ orders, lease: { history }, setText, query }) => {
    const path = pathIn(query.path);
    const set = await setOf(history, setText);
    const shown = { directory: await entryAt(history, path, set.set), set };
    const { limit, after, sort, order } = query;
    const requested = { limit, after, sort, isDescending: order === 'desc' };
    const { entries, next, total } = await directoryPage(history, shown, requested, orders);
    return { entries: entries.map((entry) => entryJson(history, entry)), next, total };
  },
  content: async ({ door, lease, setText, client, query, request, reply }) => {
    const path = pathIn(query.path);
    const set = await setOf(lease.history, setText);
    const isDownload = query.download === '1';
    const noteBroken = (error: unknown): void => {
      const download = { client, set: set.set, path };
      if (isDownload) door.onBroken?.(download, error);
    };
    try {
      const entry = await entryAt(lease.history, path, set.set);
      const caching = cachingOf(mayBeKept(door, lease), set, setText);
      const onError = noteBroken;
      await sendContent(request, reply, { lease, entry, path, isDownload, caching, onError });
    } catch (error) {
      noteBroken(error);
      throw error;
    }
  },
  versions: async ({ lease: { history }, query }) => {
    const path = pathIn(query.path);
    const found = await history.versions(path);
    if (found.length === 0) {
      throw new TardisError('NO_SUCH_PATH', `no set has "${displayName(path)}"`);
    }
    const name = lastComponent(path);
    const newestSet = await setsShowing(history, path);
    const proven: (PathVersion & { readonly set: SetNumber | undefined })[] = [];
    for (const version of found) {
      const set = newestSet(version);
      const entry = await provenVersion(history, path, version, set ?? version.firstSet);
      proven.push({ ...version, entry, set });
    }
    const versions = joinVersions(
      proven,
      (one, next) => one.set !== undefined && isRestoredAlike(one, next),
      await coveringSets(history, path),
    ).map(({ firstSet, lastSet, entry }): Version => {
      const set = newestSet({ firstSet, lastSet });
      return { firstSet, lastSet, set, entry: entryJson(history, entry, name) };
    });
    return { versions };
  },
};

/** Returns the entry at a path. Throws NO_SUCH_PATH, NO_ACCESS. */
export async function entryAt(
  history: History,
  path: Buffer,
  set: SetNumber,
): Promise<HistoryEntry> {
  const entry = await history.find(path, set);
  if (entry === undefined) throw await noSuchPath(history, set, path);
  return entry;
}

/**
 * Returns the value of Cache-Control. A complete set never changes, so answers about it may be cached if the request
 * names the set by number.
 */
function cachingOf(mayKeep: boolean, { state, set }: BackupSet, setText: string): string {
  const isLasting = mayKeep && state === 'complete' && setText === String(set);
  if (isLasting) return `private, max-age=${KEPT_SECONDS}`;
  return mayKeep ? 'private, no-cache' : 'no-store';
}
