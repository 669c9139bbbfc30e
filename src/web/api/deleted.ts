/** Finds the names that were in a directory in earlier sets and are missing in a given set. */
import {
  type History,
  isAsOf,
  type NamesFound,
  restBelow,
  rootsEver,
} from '../../history/index.js';
import {
  type DirectoryId,
  joinPath,
  lastComponent,
  NO_BYTES,
  type SetNumber,
} from '../../model/index.js';
import { entryJson } from './entry-json.js';
import { entryAt } from './handlers/entry-handlers.js';
import { invalidRequest } from './problem.js';
import { pathIn } from './raw-query.js';
import { addedRoute } from './register.js';
import { get } from './route-row.js';
import { DeletedPage, DeletedQuery } from './schemas.js';
import { setOf } from './set-of.js';

/** Maximum number of deleted names of a page; each needs a query of the catalog. */
const MAX_DELETED = 500;
/** Maximum number of versions that are examined for one page. */
const MAX_VERSIONS = 100_000;
/** Maximum number of directories at one path that are searched. */
const MAX_DIRECTORIES = 100;
const ID_BYTES = 8;

export const DELETED_ROUTE = addedRoute(
  get('/clients/{client}/sets/{set}/deleted', 'list', {
    isClear: true,
    summary:
      'Lists the names of a directory that earlier sets have and this one has not. A page may be empty; the last one has no `next`.',
    query: DeletedQuery,
    reply: DeletedPage,
  }),
  async ({ lease: { history }, setText, query }) => {
    const path = pathIn(query.path);
    const { set } = await setOf(history, setText);
    const entry = await entryAt(history, path, set);
    if (entry.childId === undefined || !history.access.mayRead(entry)) return { deleted: [] };
    const directories = await directoriesAt(history, { path, set, current: entry.childId });
    const limit = Math.min(query.limit, MAX_DELETED);
    const from = placeIn(directories, query.after);
    const { names, next } = await deletedNames(history, from, {
      set,
      limit,
      current: entry.childId,
    });
    const deleted: DeletedPage['deleted'] = [];
    const roots = query.after === undefined ? await rootsIn(history, path) : [];
    for (const [name, isRoot] of [...roots, ...names.map((one) => [one, false] as const)]) {
      const at = joinPath(path, name);
      // The name may have been in a later directory of this path too, or a root.
      const last = (await history.versions(at)).findLast(({ firstSet }) => firstSet <= set);
      const lastSet = last?.lastSet ?? set;
      if (last === undefined || lastSet >= set) continue;
      const { directory } = last.entry;
      if (isRoot ? directories.includes(directory) : directory !== from.directory) continue;
      const found = await history.find(at, lastSet);
      if (found !== undefined) deleted.push({ entry: entryJson(history, found, name), lastSet });
    }
    const after = next ?? nextDirectory(directories, from.directory);
    return { deleted, next: after === undefined ? undefined : cursorOf(after) };
  },
);

/** Returns the names of all roots that are directly in a directory, each with true. */
async function rootsIn(history: History, path: Buffer): Promise<(readonly [Buffer, true])[]> {
  const inside = (await rootsEver(history)).filter((root) => restBelow(path, root)?.length === 1);
  return inside.map((root) => [lastComponent(root), true]);
}

interface DirectoryPlace {
  readonly directory: DirectoryId;
  /** The name after which to continue; empty for the start of the directory. */
  readonly name: Buffer;
}

/**
 * Returns the directories that were at a path up to a set, that of the set first. There are several if the directory was
 * replaced by another one of its name, or came to another disk.
 */
async function directoriesAt(
  history: History,
  { path, set, current }: { path: Buffer; set: SetNumber; current: DirectoryId },
): Promise<DirectoryId[]> {
  const ids = new Set([current]);
  for (const { entry, firstSet } of (await history.versions(path)).toReversed()) {
    if (ids.size >= MAX_DIRECTORIES) break;
    const isShown = firstSet <= set && history.access.mayRead(entry);
    if (isShown && entry.childId !== undefined) ids.add(entry.childId);
  }
  return [...ids];
}

function nextDirectory(
  directories: readonly DirectoryId[],
  directory: DirectoryId,
): DirectoryPlace | undefined {
  const next = directories[directories.indexOf(directory) + 1];
  return next === undefined ? undefined : { directory: next, name: NO_BYTES };
}

/** Returns a place as a cursor: the number of the directory in 8 bytes, then the name. */
function cursorOf({ directory, name }: DirectoryPlace): string {
  const number = Buffer.alloc(ID_BYTES);
  number.writeBigUInt64BE(BigInt(directory));
  return Buffer.concat([number, name]).toString('base64url');
}

function placeIn(directories: readonly DirectoryId[], cursor: string | undefined): DirectoryPlace {
  if (cursor === undefined) return { directory: directories[0]!, name: NO_BYTES };
  const bytes = Buffer.from(cursor, 'base64url');
  const number = bytes.length < ID_BYTES ? undefined : bytes.readBigUInt64BE();
  const directory = directories.find((id) => BigInt(id) === number);
  if (directory === undefined) throw invalidRequest('no such cursor');
  return { directory, name: bytes.subarray(ID_BYTES) };
}

/**
 * Returns names after `from` that sets before the given one may have had, in the order of the catalog. The names that
 * the current directory has in the set are left out. `next` is the name after which the next page begins; undefined for
 * the last page.
 */
async function deletedNames(
  history: History,
  from: DirectoryPlace,
  { set, limit, current }: { set: SetNumber; limit: number; current: DirectoryId },
): Promise<{ names: Buffer[]; next: DirectoryPlace | undefined }> {
  const names: Buffer[] = [];
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
      const isThere = directory === current && versions.some((version) => isAsOf(version, set));
      if (isThere || versions[0]!.firstSet >= set) continue;
      const { name } = versions[0]!;
      names.push(name);
      if (names.length >= limit) return { names, next: { directory, name } };
    }
    seen += Math.max(1, page.versions.length); // a server may send empty pages without end, so each page counts
    if (page.next === undefined || page.next.directory !== directory) {
      return { names, next: undefined };
    }
    place = { directory, name: page.next.name };
  }
  return { names, next: place };
}

type Version = NamesFound['versions'][number];

function byName(versions: readonly Version[]): Version[][] {
  const groups: Version[][] = [];
  for (const version of versions) {
    const last = groups.at(-1);
    if (last?.[0]?.name.equals(version.name) === true) last.push(version);
    else groups.push([version]);
  }
  return groups;
}
