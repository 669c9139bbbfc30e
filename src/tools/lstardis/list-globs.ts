/** Expands a pattern to paths of a set, component by component, as a shell does on a disk. */
import { type History, type HistoryEntry, listedPages } from '../../history/index.js';
import { TardisError } from '../../errors/index.js';
import { compileGlob } from '../../excludes/index.js';
import { displayName, joinPath, type SetNumber, shownRoot, splitPath } from '../../model/index.js';

const PAGE_ENTRIES = 1024;
const WILD = /[*?[\\]/;
const DOT = 0x2e;

interface Found {
  readonly path: Buffer;
  readonly entry: HistoryEntry;
}

/** Returns the matching paths, sorted by their bytes. Throws NO_SUCH_PATH if nothing matches. */
export async function matchingPaths(
  history: History,
  set: SetNumber,
  pattern: Buffer,
): Promise<Buffer[]> {
  const parts = splitPath(pattern);
  const found = new Map<string, Buffer>();
  for (const root of await history.roots(set)) {
    const path = shownRoot(root.path);
    const above = splitPath(path);
    const isOnTheWay = above.every(
      (name, index) => parts[index] !== undefined && isMatch(parts[index], name),
    );
    const entry = isOnTheWay ? await history.find(path, set) : undefined;
    if (entry === undefined) continue;
    for (const match of await below(history, set, { path, entry }, parts.slice(above.length))) {
      found.set(match.toString('latin1'), match);
    }
  }
  if (found.size === 0) {
    throw new TardisError(
      'NO_SUCH_PATH',
      `nothing in set ${set} matches "${displayName(pattern)}"`,
    );
  }
  return [...found.values()].sort((one, other) => Buffer.compare(one, other));
}

async function below(
  history: History,
  set: SetNumber,
  top: Found,
  parts: readonly Buffer[],
): Promise<Buffer[]> {
  let reached: Found[] = [top];
  for (const part of parts) {
    const next: Found[] = [];
    for (const directory of reached) next.push(...(await within(history, set, directory, part)));
    reached = next;
  }
  return reached.map(({ path }) => path);
}

async function within(
  history: History,
  set: SetNumber,
  { path, entry }: Found,
  part: Buffer,
): Promise<Found[]> {
  const directory = entry.childId;
  if (directory === undefined) return [];
  if (!WILD.test(part.toString('latin1'))) {
    const full = joinPath(path, part);
    const one = await history.find(full, set);
    return one === undefined ? [] : [{ path: full, entry: one }];
  }
  if (!history.access.mayRead(entry)) return [];
  const found: Found[] = [];
  const listing = { directory, set, limit: PAGE_ENTRIES, withDigests: false };
  for await (const page of listedPages(history, listing)) {
    for (const one of page) {
      if (isMatch(part, one.name)) found.push({ path: joinPath(path, one.name), entry: one });
    }
  }
  return found;
}

/** True if a name matches a component. A wildcard does not match a dot at the beginning of a name. */
function isMatch(part: Buffer, name: Buffer): boolean {
  if (name[0] === DOT && part[0] !== DOT) return false;
  return compileGlob(part.toString('latin1')).matches(name.toString('latin1'));
}
