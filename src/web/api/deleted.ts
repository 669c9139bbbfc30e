/** Finds the names that a directory had in earlier sets and lacks in a given set. */
import type { History } from '../../history/index.js';
import { type DirectoryId, joinPath, type SetNumber } from '../../model/index.js';
import { entryJson, type SetSpan, setsShowing } from './entry-json.js';
import { entryAt } from './handlers/entry-handlers.js';
import { invalidRequest } from './problem.js';
import { pathIn } from './raw-query.js';
import { addedRoute } from './register.js';
import { DeletedPage, DeletedQuery } from './schemas.js';
import { setOf } from './set-of.js';

const NO_BYTES: Buffer = Buffer.alloc(0);
/** Maximum number of deleted names of a page; each needs a query of the catalog. */
const MAX_DELETED = 500;
/** Maximum number of versions that are examined for one page. */
const MAX_VERSIONS = 100_000;

interface LastSeen {
  readonly name: Buffer;
  /** Number of the newest listed set that contains the name. */
  readonly lastSet: SetNumber;
}

/** Returns the newest listed set that shows a version. */
type SetOf = (span: SetSpan) => SetNumber | undefined;

export const DELETED_ROUTE = addedRoute(
  {
    method: 'GET',
    path: '/clients/{client}/sets/{set}/deleted',
    right: 'list',
    isClear: true,
    summary:
      'Lists the names of a directory that earlier sets have and this one has not. A page may be empty; the last one has no `next`.',
    query: DeletedQuery,
    reply: DeletedPage,
  },
  async ({ lease: { history }, setText, query }) => {
    const path = pathIn(query.path);
    const { set } = await setOf(history, setText);
    const directory = await entryAt(history, path, set);
    if (directory.childId === undefined || !history.access.mayRead(directory)) {
      return { deleted: [] };
    }
    const after = query.after === undefined ? NO_BYTES : Buffer.from(query.after, 'base64url');
    if (query.after !== undefined && after.length === 0) throw invalidRequest('no such cursor');
    const limit = Math.min(query.limit, MAX_DELETED);
    const place = { directory: directory.childId, name: after };
    const newestSet = await setsShowing(history, path);
    const { names, next } = await deletedNames(history, place, { set, limit, newestSet });
    const deleted: DeletedPage['deleted'] = [];
    for (const { name, lastSet } of names) {
      const entry = await history.find(joinPath(path, name), lastSet);
      if (entry !== undefined) deleted.push({ entry: entryJson(history, entry, name), lastSet });
    }
    return { deleted, ...(next === undefined ? {} : { next: next.toString('base64url') }) };
  },
);

/**
 * Returns deleted names after `from`, in the order of the catalog. `next` is the name after which the next page begins;
 * undefined for the last page.
 */
async function deletedNames(
  history: History,
  from: { readonly directory: DirectoryId; readonly name: Buffer },
  { set, limit, newestSet }: { set: SetNumber; limit: number; newestSet: SetOf },
): Promise<{ names: LastSeen[]; next: Buffer | undefined }> {
  const names: LastSeen[] = [];
  const { directory } = from;
  let place = from;
  for (let seen = 0; seen < MAX_VERSIONS; ) {
    const page = await history.reports.named({
      after: place,
      literal: NO_BYTES,
      isMatch: () => true,
    });
    const mine = page.versions.filter((version) => version.directory === directory);
    for (const versions of byName(mine)) {
      const last = deletedBefore(versions, set, newestSet);
      if (last === undefined) continue;
      names.push(last);
      if (names.length >= limit) return { names, next: last.name };
    }
    seen += Math.max(1, page.versions.length); // a server may send empty pages without end, so each page counts
    if (page.next === undefined || page.next.directory !== directory) {
      return { names, next: undefined };
    }
    place = { directory, name: page.next.name };
  }
  return { names, next: place.name };
}

type Version = SetSpan & { readonly name: Buffer };

function byName(versions: readonly Version[]): Version[][] {
  const groups: Version[][] = [];
  for (const version of versions) {
    const last = groups.at(-1);
    if (last?.[0]?.name.equals(version.name) === true) last.push(version);
    else groups.push([version]);
  }
  return groups;
}

/**
 * Returns the last listed set before `set` that has a name. Returns undefined if `set` itself has the name, or if no
 * earlier listed set has it.
 */
function deletedBefore(
  versions: readonly Version[],
  set: SetNumber,
  newestSet: SetOf,
): LastSeen | undefined {
  let lastSet: SetNumber = 0;
  for (const span of versions) {
    if (span.firstSet > set) continue;
    if (span.lastSet === undefined || span.lastSet >= set) return undefined;
    lastSet = Math.max(lastSet, newestSet(span) ?? 0);
  }
  const [first] = versions;
  return lastSet === 0 || first === undefined ? undefined : { name: first.name, lastSet };
}
