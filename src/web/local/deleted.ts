/** The names of a directory that earlier sets have and a set has not: what was deleted since. */
import type { History } from '../../history/index.js';
import { joinPath } from '../../model/index.js';
import { addedRoute, entryAt, entryJson, invalidRequest, pathIn, setOf } from '../api/index.js';
import { DeletedPage, DeletedQuery } from './schemas.js';

const NO_BYTES: Buffer = Buffer.alloc(0);
/** Deleted names of a page; each takes a look into the catalog. */
const MAX_DELETED = 500;
/** Names that are looked through for one page. */
const MAX_NAMES = 100_000;

interface LastSeen {
  readonly name: Buffer;
  readonly lastSet: number;
}

export const DELETED_ROUTE = addedRoute(
  {
    method: 'GET',
    path: '/clients/{client}/sets/{set}/deleted',
    right: 'list',
    isClear: true,
    summary: 'Lists the names of a directory that earlier sets have and this one has not.',
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
    const { names, next } = await deletedNames(history, directory.childId, set, { after, limit });
    const deleted: DeletedPage['deleted'] = [];
    for (const { name, lastSet } of names) {
      const entry = await history.find(joinPath(path, name), lastSet);
      if (entry !== undefined) deleted.push({ entry: entryJson(history, entry, name), lastSet });
    }
    return { deleted, ...(next === undefined ? {} : { next: next.toString('base64url') }) };
  },
);

/** Returns the deleted names after one, in the order of the catalog. */
async function deletedNames(
  history: History,
  directory: number,
  set: number,
  { after, limit }: { readonly after: Buffer; readonly limit: number },
): Promise<{ names: LastSeen[]; next: Buffer | undefined }> {
  const names: LastSeen[] = [];
  let place = { directory, name: after };
  for (let seen = 0; seen < MAX_NAMES; ) {
    const page = await history.reports.named({
      after: place,
      literal: NO_BYTES,
      isMatch: () => true,
    });
    const mine = page.versions.filter((version) => version.directory === directory);
    for (const versions of byName(mine)) {
      const last = deletedBefore(versions, set);
      if (last === undefined) continue;
      names.push(last);
      if (names.length >= limit) return { names, next: last.name };
    }
    seen += page.versions.length;
    if (page.next === undefined || page.next.directory !== directory) break;
    place = { directory, name: page.next.name };
  }
  return { names, next: undefined };
}

type Version = {
  readonly name: Buffer;
  readonly firstSet: number;
  readonly lastSet?: number | undefined;
};

function byName(versions: readonly Version[]): Version[][] {
  const groups: Version[][] = [];
  for (const version of versions) {
    const last = groups.at(-1);
    if (last?.[0]?.name.equals(version.name) === true) last.push(version);
    else groups.push([version]);
  }
  return groups;
}

/** Returns the last set before a set that has a name; undefined if the set itself has it, or only later ones do. */
function deletedBefore(versions: readonly Version[], set: number): LastSeen | undefined {
  let lastSet = 0;
  for (const { firstSet, lastSet: last } of versions) {
    if (firstSet > set) continue;
    if (last === undefined || last >= set) return undefined;
    lastSet = Math.max(lastSet, last);
  }
  const [first] = versions;
  return lastSet === 0 || first === undefined ? undefined : { name: first.name, lastSet };
}
