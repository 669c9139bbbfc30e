/** Paths in a set that match a pattern, component by component, as a shell would match them on the disk. */
import type { Archive, ArchiveEntry } from '../archive/index.js';
import { TardisError } from '../errors/index.js';
import { compileGlob } from '../excludes/index.js';
import { displayName, joinPath, splitPath } from '../model/index.js';

const PAGE_ENTRIES = 1024;
const NO_NAME = Buffer.alloc(0);
const WILD = /[*?[\\]/;
const DOT = 0x2e;

interface Found {
  readonly path: Buffer;
  readonly entry: ArchiveEntry;
}

/** In order. Throws NO_SUCH_PATH if nothing matches. */
export async function matchingPaths(
  archive: Archive,
  set: number,
  pattern: Buffer,
): Promise<Buffer[]> {
  const parts = splitPath(pattern);
  const found = new Map<string, Buffer>();
  for (const { path } of await archive.roots(set)) {
    const above = splitPath(path);
    const isOnTheWay = above.every(
      (name, index) => parts[index] !== undefined && isMatch(parts[index], name),
    );
    const entry = isOnTheWay ? await archive.find(path, set) : undefined;
    if (entry === undefined) continue;
    for (const match of await below(archive, set, { path, entry }, parts.slice(above.length))) {
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
  archive: Archive,
  set: number,
  top: Found,
  parts: readonly Buffer[],
): Promise<Buffer[]> {
  let reached: Found[] = [top];
  for (const part of parts) {
    const next: Found[] = [];
    for (const directory of reached) next.push(...(await within(archive, set, directory, part)));
    reached = next;
  }
  return reached.map(({ path }) => path);
}

async function within(
  archive: Archive,
  set: number,
  { path, entry }: Found,
  part: Buffer,
): Promise<Found[]> {
  const directory = entry.childId;
  if (directory === undefined) return [];
  if (!WILD.test(part.toString('latin1'))) {
    const full = joinPath(path, part);
    const one = await archive.find(full, set);
    return one === undefined ? [] : [{ path: full, entry: one }];
  }
  if (!archive.access.mayRead(entry)) return [];
  const found: Found[] = [];
  for (let after: Buffer = NO_NAME; ; ) {
    const page = { directory, set, after, limit: PAGE_ENTRIES, withDigests: false };
    const entries = await archive.list(page);
    for (const one of entries) {
      if (isMatch(part, one.name)) found.push({ path: joinPath(path, one.name), entry: one });
    }
    if (entries.length < PAGE_ENTRIES) return found;
    after = entries.at(-1)!.name;
  }
}

/** A wildcard stands for no dot at the beginning of a name. */
function isMatch(part: Buffer, name: Buffer): boolean {
  if (name[0] === DOT && part[0] !== DOT) return false;
  return compileGlob(part.toString('latin1')).matches(name.toString('latin1'));
}
