/**
 * The tree that WebDAV shows of a client, with the names of a mount: `Current`, a collection for each set, `by-date`
 * and `versions`. WebDAV has no links, so `Current` and the days contain the sets themselves.
 */
import {
  type BackupSet,
  BY_DATE,
  CURRENT,
  dayOf,
  entriesAround,
  type History,
  type HistoryEntry,
  isKnownPath,
  named,
  namedSets,
  namesIn,
  noAccess,
  noSuchPath,
  provenVersion,
  rootAt,
  type RootNode,
  rootsOf,
  listedPages,
  SHOWN_PAGE_ENTRIES,
  type ShownSet,
  versionName,
  VERSIONS,
  versionsAt,
  virtualDirectory,
} from '../../history/index.js';
import { TardisError } from '../../errors/index.js';
import { EntryType, pathBelow, SLASH_BYTES } from '../../model/index.js';

/** The resource at a path of the tree. */
export interface DavNode {
  readonly entry: HistoryEntry;
  /** The set that contains the resource; undefined for resources that are in no backup. */
  readonly set: BackupSet | undefined;
  /** Yields pages of the entries of a collection; undefined for other resources. */
  readonly pages: (() => AsyncIterable<readonly HistoryEntry[]>) | undefined;
}

/** Returns the resource at a path. Throws NO_SUCH_PATH, NO_ACCESS. */
export async function davNodeAt(history: History, path: readonly Buffer[]): Promise<DavNode> {
  const sets = namedSets(await history.sets(), [CURRENT, BY_DATE, VERSIONS]);
  const [first, ...rest] = path;
  if (first === undefined) return topOf(history.client, sets);
  const name = first.toString();
  if (name === VERSIONS) return versionsNode(history, rest, newestMs(sets));
  if (name === BY_DATE) return byDate(history, sets, rest);
  const found =
    name === CURRENT ? newestOf(sets) : sets.find((set) => Buffer.from(set.name).equals(first));
  if (found === undefined) throw missing();
  return setNode(history, found.set, rest, first);
}

function topOf(client: string, sets: readonly ShownSet[]): DavNode {
  const newest = newestOf(sets);
  const names: [name: string, timeMs: number][] = [
    [BY_DATE, newestMs(sets)],
    [VERSIONS, newestMs(sets)],
    ...(newest === undefined ? [] : [[CURRENT, newest.set.openedAtMs] as [string, number]]),
    ...sets.map(({ name, set }): [string, number] => [name, set.openedAtMs]),
  ];
  return folder(Buffer.from(client), names, newestMs(sets));
}

function newestOf(sets: readonly ShownSet[]): ShownSet | undefined {
  return sets.findLast(({ set }) => set.state === 'complete');
}

function newestMs(sets: readonly ShownSet[]): number {
  return sets.at(-1)?.set.openedAtMs ?? 0;
}

/** Returns a collection that has only collections, each with its time. */
export function folder(
  name: Buffer,
  names: readonly (readonly [name: string, timeMs: number])[],
  timeMs: number,
): DavNode {
  const entries = names.map(([own, atMs]) => virtualDirectory(Buffer.from(own), atMs));
  return { entry: virtualDirectory(name, timeMs), set: undefined, pages: () => onePage(entries) };
}

async function* onePage(entries: readonly HistoryEntry[]): AsyncGenerator<readonly HistoryEntry[]> {
  yield entries;
}

/** Number of directories below `by-date` above the sets: year, month, day. */
const DAY_PARTS = 3;

async function byDate(
  history: History,
  sets: readonly ShownSet[],
  path: readonly Buffer[],
): Promise<DavNode> {
  const names = path.slice(0, DAY_PARTS).map(String);
  const inside = sets.filter(({ set }) => dayOf(set).join('/').startsWith(names.join('/')));
  const within = inside.filter(({ set }) =>
    names.every((name, index) => dayOf(set)[index] === name),
  );
  if (names.length > 0 && within.length === 0) throw missing();
  const depth = names.length;
  if (path.length <= DAY_PARTS) {
    const below = within.map(({ name, set }): [string, number] => [
      dayOf(set)[depth] ?? name,
      set.openedAtMs,
    ]);
    const own = path.at(-1) ?? Buffer.from(BY_DATE);
    return folder(own, [...new Map(below)], newestMs(within));
  }
  const [requested, ...rest] = path.slice(DAY_PARTS);
  const found = within.find(({ name }) => Buffer.from(name).equals(requested!));
  if (found === undefined) throw missing();
  return setNode(history, found.set, rest, requested!);
}

/** Returns the resource at a path in a set. The set itself has the name `name`. */
async function setNode(
  history: History,
  set: BackupSet,
  names: readonly Buffer[],
  name: Buffer,
): Promise<DavNode> {
  const path = pathBelow(SLASH_BYTES, names);
  const roots = rootAt(await rootsOf(history, set.set), path);
  const entry = await entryAt(history, set, path, roots);
  const own = named(entry, names.at(-1) ?? name);
  if (entry.damage !== undefined || entry.type !== EntryType.directory) {
    return { entry: own, set, pages: undefined };
  }
  return {
    entry: own,
    set,
    pages: () => {
      if (!history.access.mayRead(entry)) throw noAccess(path);
      return pagesOf(history, set, entry, roots);
    },
  };
}

async function entryAt(
  history: History,
  set: BackupSet,
  path: Buffer,
  roots: RootNode | undefined,
): Promise<HistoryEntry> {
  if (roots?.entry !== undefined) return roots.entry;
  const entry = await history.find(path, set.set);
  if (entry !== undefined) return entry;
  if (roots === undefined) throw await noSuchPath(history, set.set, path);
  return virtualDirectory(roots.name, set.openedAtMs);
}

async function* pagesOf(
  history: History,
  set: BackupSet,
  { childId }: HistoryEntry,
  roots: RootNode | undefined,
): AsyncGenerator<readonly HistoryEntry[]> {
  if (roots !== undefined) {
    yield await entriesAround(history, set, { id: childId ?? -1, node: roots, withDigests: true });
    return;
  }
  if (childId === undefined) return;
  const listing = { directory: childId, set: set.set, limit: SHOWN_PAGE_ENTRIES };
  yield* listedPages(history, { ...listing, withDigests: true });
}

async function versionsNode(
  history: History,
  names: readonly Buffer[],
  timeMs: number,
): Promise<DavNode> {
  const path = pathBelow(SLASH_BYTES, names);
  const last = names.at(-1) ?? Buffer.from(VERSIONS);
  if (names.length === 0 || (await isKnownPath(history, path))) {
    const pages = (): AsyncIterable<readonly HistoryEntry[]> => versionPages(history, path, timeMs);
    return { entry: virtualDirectory(last, timeMs), set: undefined, pages };
  }
  const above = pathBelow(SLASH_BYTES, names.slice(0, -1));
  const found = (await versionsAt(history, above)).find(({ set }) => versionName(set).equals(last));
  if (found === undefined) throw missing();
  const entry = await provenVersion(history, above, found.version, found.set.set);
  return { entry: named(entry, last), set: found.set, pages: undefined };
}

async function* versionPages(
  history: History,
  path: Buffer,
  timeMs: number,
): AsyncGenerator<readonly HistoryEntry[]> {
  yield (await namesIn(history, path)).map((name) => virtualDirectory(name, timeMs));
  if (path.equals(SLASH_BYTES)) return;
  for (const { version, set } of await versionsAt(history, path)) {
    yield [named(await provenVersion(history, path, version, set.set), versionName(set))];
  }
}

function missing(): TardisError {
  return new TardisError('NO_SUCH_PATH', 'there is no such resource');
}
