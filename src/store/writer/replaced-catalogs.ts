/**
 * Catalogs that rebuilds have replaced, kept beside the new one as `tardis.db.before-rebuild-N`. Only a few are kept:
 * the most complete one, however old, and the newest ones.
 */
import path from 'node:path';
import { Catalog, removeDatabase } from '../catalog/index.js';
import { asTardisError } from '../../errors/index.js';
import type { ClientDirectory } from '../index.js';
import type { System } from '../../system/index.js';

const KEPT_SUFFIX = '.before-rebuild-';
/** Maximum number of replaced catalogs kept for a client. */
const MAX_KEPT_CATALOGS = 3;

/** Measures how complete a catalog is. */
interface Worth {
  readonly sets: number;
  readonly versions: number;
}

const UNREADABLE: Worth = { sets: 0, versions: 0 };

/** Returns the path under which the next replaced catalog is kept. */
export function nextKeptPath(system: System, directory: ClientDirectory): string {
  const newest = numbersOf(system, directory).at(-1) ?? 0;
  return pathOf(directory, newest + 1);
}

/** Deletes replaced catalogs beyond the limit, but never the most complete one. */
export function pruneKept(system: System, directory: ClientDirectory): void {
  const numbers = numbersOf(system, directory);
  if (numbers.length <= MAX_KEPT_CATALOGS) return;
  let best: { number: number; worth: Worth } | undefined;
  for (const number of numbers) {
    const worth = worthOf(system, pathOf(directory, number));
    if (best === undefined || isMore(worth, best.worth)) best = { number, worth };
  }
  const others = numbers.filter((number) => number !== best!.number);
  for (const number of others.slice(0, numbers.length - MAX_KEPT_CATALOGS)) {
    removeDatabase(system, pathOf(directory, number));
  }
}

/** Returns the numbers of the kept catalogs, ascending. */
function numbersOf({ files }: System, { path: directory, catalogPath }: ClientDirectory): number[] {
  const start = path.basename(catalogPath) + KEPT_SUFFIX;
  return files
    .list(directory)
    .filter((name) => name.startsWith(start) && /^[1-9]\d{0,14}$/.test(name.slice(start.length)))
    .map((name) => Number(name.slice(start.length)))
    .sort((a, b) => a - b);
}

function pathOf({ catalogPath }: ClientDirectory, number: number): string {
  return `${catalogPath}${KEPT_SUFFIX}${number}`;
}

function worthOf(system: System, catalogPath: string): Worth {
  try {
    return Catalog.reading(system, catalogPath, ({ sets, entryCounts }) => ({
      sets: sets.listed().filter(({ state }) => state === 'complete').length,
      versions: entryCounts.between(0, Number.MAX_SAFE_INTEGER).all,
    }));
  } catch (error) {
    const { code } = asTardisError(error);
    if (code === 'CATALOG_DAMAGED' || code === 'CATALOG_NEWER') return UNREADABLE;
    throw error;
  }
}

/**
 * True if `one` is more complete than `other`. If both are equally complete, it is false: the older one is kept, since
 * it was not made from less data.
 */
function isMore(one: Worth, other: Worth): boolean {
  return one.sets === other.sets ? one.versions > other.versions : one.sets > other.sets;
}
