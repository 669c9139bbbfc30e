/** The kinds of damage: to every file as a whole, to every row of the catalog, and to any bit. */
import fs from 'node:fs';
import path from 'node:path';
import type { seededRandom } from '../support/seeded-random.js';
import { type History, OTHER } from './damage-history.js';
import { recordsOf } from './damage.js';
import type { Place } from './inline.js';

type Random = ReturnType<typeof seededRandom>;

export interface Damage {
  readonly name: string;
  /** The damaged file, relative to the client's directory. */
  readonly file: string;
  /** The classes of which each run meets at least one damage. */
  readonly classes?: readonly string[];
  /** Applies the damage; false if it would change nothing. */
  apply(copy: Place): boolean;
}

/** Files whose content is never used: locks are held on the files themselves, and SQLite rebuilds the last one. */
const IDLE = new Set(['lock', 'lock.wanted', 'accounts.lock', 'tardis.db-shm']);

/** One way to damage a whole file; false if it would change nothing. */
type FileDamage = (file: string, name: string, history: History) => boolean;

export const FILE_DAMAGES: Readonly<Record<string, FileDamage>> = {
  removed: (file) => {
    fs.rmSync(file);
    return true;
  },
  emptied: (file) => cutTo(file, () => 0),
  halved: (file) => cutTo(file, (bytes) => Math.floor(bytes / 2)),
  'without its last byte': (file) => cutTo(file, (bytes) => bytes - 1),
  'its older self': (file, name, { older }) =>
    older.some((directory) => replaces(file, path.join(directory, name))),
  "another client's": (file, name, { place }) => replaces(file, counterpart(place, name)),
  'a directory': (file) => {
    fs.rmSync(file);
    fs.mkdirSync(file);
    return true;
  },
  'a link that leads nowhere': (file) => {
    fs.rmSync(file);
    fs.symlinkSync('/nowhere/at all', file);
    return true;
  },
};

function cutTo(file: string, length: (bytes: number) => number): boolean {
  const { size } = fs.statSync(file);
  if (size === 0) return false;
  fs.truncateSync(file, length(size));
  return true;
}

function replaces(file: string, by: string | undefined): boolean {
  if (by === undefined || !fs.existsSync(by)) return false;
  const bytes = fs.readFileSync(by);
  if (bytes.equals(fs.readFileSync(file))) return false;
  fs.writeFileSync(file, bytes);
  return true;
}

/** Returns the file of the other client that has this name, or is of this kind. */
function counterpart({ store }: Place, name: string): string | undefined {
  const home = path.join(store, OTHER);
  const same = path.join(home, name);
  if (fs.existsSync(same)) return same;
  const all = filesOf({ store, client: OTHER });
  const other = all.find((one) => kindOf(one) === kindOf(name));
  return other && path.join(home, other);
}

function kindOf(name: string): string {
  if (name.startsWith('packs/')) return 'pack';
  if (/^[0-9a-f]{2}\//.test(name)) return 'object';
  return name.replaceAll(/[0-9]+/g, '0');
}

/** Returns all files of a client, relative to its directory. */
export function filesOf({ store, client }: Place): string[] {
  const home = path.join(store, client);
  return fs
    .readdirSync(home, { recursive: true, encoding: 'utf8' })
    .filter((name) => fs.statSync(path.join(home, name)).isFile() && !IDLE.has(name))
    .sort();
}

function fileIn({ store, client }: Place, name: string): string {
  return path.join(store, client, name);
}

/** Returns each kind of damage for each file. */
export function fileDamages(history: History): Damage[] {
  return filesOf(history.place).flatMap((name) =>
    Object.entries(FILE_DAMAGES).map(([how, damage]) => ({
      name: `${name}: ${how}`,
      file: name,
      classes: [how, kindOf(name)],
      apply: (copy) => damage(fileIn(copy, name), name, history),
    })),
  );
}

/**
 * Copies an older state, or one that went on by itself, over the client: a copy in the wrong direction. The catalog of the
 * last one looks as if its session were running.
 */
export function overlayDamages({ older, fork }: History): Damage[] {
  return [...older, fork, fork].map((from, at) => ({
    name: `the whole client: copied over by copy ${at}`,
    file: '',
    apply: (copy) => {
      fs.cpSync(from, path.join(copy.store, copy.client), { recursive: true });
      if (at > older.length) lookRunning(fileIn(copy, CATALOG));
      return true;
    },
  }));
}

/** Makes a catalog look as that of a running or killed session: in SQLite's header, its log is in use. */
export function lookRunning(catalog: string): void {
  const bytes = fs.readFileSync(catalog);
  bytes.fill(2, ...VERSIONS_AT);
  fs.writeFileSync(catalog, bytes);
}

function flipped(name: string, at: number, bit: number): Damage {
  return {
    name: `${name}: bit ${bit} of byte ${at}`,
    file: name,
    apply: (copy) => {
      const file = fileIn(copy, name);
      const bytes = fs.readFileSync(file);
      bytes[at]! ^= 1 << bit;
      fs.writeFileSync(file, bytes);
      return true;
    },
  };
}

/** Flips one bit at a random position in each of `count` random files, small files as often as large ones. */
export function randomDamages({ place }: History, random: Random, count: number): Damage[] {
  const files = filesOf(place)
    .map((name) => ({ name, bytes: fs.statSync(fileIn(place, name)).size }))
    .filter(({ bytes }) => bytes > 0);
  return Array.from({ length: count }, () => {
    const { name, bytes } = files[Math.floor(random.next() * files.length)]!;
    return flipped(name, Math.floor(random.next() * bytes), Math.floor(random.next() * 8));
  });
}

/** Flips one bit in the last byte of each record of each pack. */
export async function recordDamages({ place }: History): Promise<Damage[]> {
  const damages: Damage[] = [];
  const home = path.join(place.store, place.client);
  for (const name of filesOf(place).filter((one) => kindOf(one) === 'pack')) {
    const pack = Number.parseInt(path.basename(name), 10);
    if (Number.isNaN(pack)) continue; // a key record
    for (const { to, kind } of await recordsOf(home, pack)) {
      damages.push({ ...flipped(name, to - 1, 0), classes: [`record kind ${kind}`] });
    }
  }
  return damages;
}

const CATALOG = 'tardis.db';
const PAGE_BYTES_AT = 16;
/** The format versions of reader and writer; 2 is that of a log. */
const VERSIONS_AT: readonly [from: number, to: number] = [18, 20];
const FIRST_PAGE_HEADER = 100;
/** Types of b-tree pages (sqlite.org/fileformat2.html): for tables and for indexes. */
const [INTERIOR_INDEX, INTERIOR_TABLE, LEAF_INDEX, LEAF_TABLE] = [2, 5, 10, 13];

/** Flips one bit in each row of each table and index of the catalog, by their positions in its pages. */
export function rowDamages({ place }: History, random: Random): Damage[] {
  const bytes = fs.readFileSync(fileIn(place, CATALOG));
  const pageBytes = bytes.readUInt16BE(PAGE_BYTES_AT) % 65_535 || 65_536;
  const damages: Damage[] = [];
  for (let page = 0; page < bytes.length; page += pageBytes) {
    for (const [from, to] of cellsOf(bytes.subarray(page, page + pageBytes), page === 0)) {
      const at = page + from + Math.floor(random.next() * (to - from));
      damages.push(flipped(CATALOG, at, Math.floor(random.next() * 8)));
    }
  }
  return damages;
}

/** Returns the positions of a page's cells; each cell is taken to end where the next one begins. */
function cellsOf(page: Buffer, isFirst: boolean): (readonly [number, number])[] {
  const header = isFirst ? FIRST_PAGE_HEADER : 0;
  const type = page[header]!;
  const isInterior = type === INTERIOR_TABLE || type === INTERIOR_INDEX;
  if (!isInterior && type !== LEAF_TABLE && type !== LEAF_INDEX) return [];
  const count = page.readUInt16BE(header + 3);
  const pointers = header + (isInterior ? 12 : 8);
  const starts = Array.from({ length: count }, (_, n) => page.readUInt16BE(pointers + 2 * n)).sort(
    (one, other) => one - other,
  );
  return starts.map((from, n) => [from, starts[n + 1] ?? page.length] as const);
}
