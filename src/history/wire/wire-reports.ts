/** Converts reports to fields of messages and back, with checks. */
import { TardisError } from '../../errors/index.js';
import type { Head } from '../../transport/index.js';
import {
  type BusyDirectory,
  type ChangesFound,
  MOST_BUSY,
  type NamesFound,
  STORE_FIGURES,
  type StoreFigures,
} from '../reports.js';
import { entriesFromWire, entriesToWire } from './wire.js';

type Told<N extends 'setRootsAre' | 'changesAre' | 'figuresAre' | 'namesAre'> = {
  [F in keyof Head<N> as string extends F ? never : F extends 'question' ? never : F]: Head<N>[F];
};

const BUSY_NUMBERS = 3;
const SLASH = 0x2f;

/** Returns the roots of as many sets, from `from` on, as fit into one message; always those of the first one. */
export function setRootsToWire(
  all: ReadonlyMap<number, readonly Buffer[]>,
  from: number,
  most: { readonly roots: number; readonly bytes: number },
): Told<'setRootsAre'> {
  let bytes = 0;
  const known = new Map<string, number>();
  const told: Told<'setRootsAre'> = { paths: [], sets: [], roots: [], more: false };
  const sets = [...all].filter(([set]) => set >= from).sort(([one], [other]) => one - other);
  for (const [set, roots] of sets) {
    const isFull = told.sets.length + roots.length > most.roots || bytes > most.bytes;
    if (told.sets.length > 0 && isFull) {
      told.more = true;
      break;
    }
    for (const path of roots) {
      const key = path.toString('latin1');
      let index = known.get(key);
      if (index === undefined) {
        index = told.paths.push(path) - 1;
        known.set(key, index);
        bytes += path.length;
      }
      told.sets.push(set);
      told.roots.push(index);
    }
  }
  return told;
}

/** Adds the decoded roots to `all`. Returns the set to continue from, if there are more. Throws PROTOCOL_VIOLATION. */
export function setRootsFromWire(
  { paths, sets, roots, more }: Told<'setRootsAre'>,
  from: number,
  all: Map<number, Buffer[]>,
): number | undefined {
  if (sets.length !== roots.length) throw odd('roots');
  if (paths.some((path) => path[0] !== SLASH || path.includes(0))) throw odd('roots');
  let last = from - 1;
  sets.forEach((set, index) => {
    const path = paths[roots[index]!];
    if (path === undefined || set < from || set < last) throw odd('roots');
    last = set;
    const known = all.get(set);
    if (known === undefined) all.set(set, [path]);
    else known.push(path);
  });
  if (more && sets.length === 0) throw odd('roots');
  return more ? last + 1 : undefined;
}

/** Encodes a page of changes. Cuts the page between two names once it exceeds `mostBytes`. */
export function changesToWire(
  { entries, next }: ChangesFound,
  mostBytes: number,
): Told<'changesAre'> {
  let bytes = 0;
  let end = entries.length;
  for (let at = 0; at < entries.length; at += 1) {
    const { directory, name, metadata } = entries[at]!;
    const before = entries[at - 1];
    const isNext = before?.directory === directory && before.name.equals(name);
    if (bytes > mostBytes && !isNext) {
      end = at;
      break;
    }
    bytes += metadata.length + name.length;
  }
  const last = end < entries.length ? entries[end - 1] : next;
  const { directory, name } = last ?? { directory: -1, name: Buffer.alloc(0) };
  const more = last !== undefined;
  return { ...entriesToWire(entries.slice(0, end), more), directory, name };
}

/** Decodes a page of changes. Throws PROTOCOL_VIOLATION. */
export function changesFromWire(told: Told<'changesAre'>): ChangesFound {
  const { more, directory, name } = told;
  return { entries: entriesFromWire(told), next: more ? { directory, name } : undefined };
}

/** Encodes a page of names, whose number is bounded already. */
export function namesToWire({ versions, next }: NamesFound): Told<'namesAre'> {
  const { directory, name } = next ?? { directory: -1, name: Buffer.alloc(0) };
  return {
    directories: versions.map((version) => version.directory),
    names: versions.map((version) => version.name),
    firstSets: versions.map(({ firstSet }) => firstSet),
    lastSets: versions.map(({ lastSet }) => lastSet ?? 0),
    more: next !== undefined,
    directory,
    name,
  };
}

/** Decodes a page of names. Throws PROTOCOL_VIOLATION. */
export function namesFromWire(told: Told<'namesAre'>): NamesFound {
  const { directories, names, firstSets, lastSets, more, directory, name } = told;
  const isWhole = [names, firstSets, lastSets].every(({ length }) => length === directories.length);
  if (!isWhole) throw odd('names');
  const versions = directories.map((each, index) => ({
    directory: each,
    name: names[index]!,
    firstSet: firstSets[index]!,
    lastSet: lastSets[index] === 0 ? undefined : lastSets[index]!,
  }));
  return { versions, next: more ? { directory, name } : undefined };
}

export function figuresToWire({ numbers, busiest }: StoreFigures): Told<'figuresAre'> {
  return {
    numbers: { ...numbers },
    busiest: busiest.flatMap(({ directory, versions, bytes }) => [directory, versions, bytes]),
  };
}

/** Decodes figures. Throws PROTOCOL_VIOLATION. */
export function figuresFromWire({ numbers, busiest }: Told<'figuresAre'>): StoreFigures {
  const figures = STORE_FIGURES.map((name) => {
    const value = Object.hasOwn(numbers, name) ? numbers[name] : undefined;
    if (typeof value !== 'number' || !Number.isFinite(value)) throw odd('figures');
    return [name, value] as const;
  });
  const isWhole = busiest.length % BUSY_NUMBERS === 0 && busiest.length <= MOST_BUSY * BUSY_NUMBERS;
  if (!isWhole) throw odd('figures');
  const most: BusyDirectory[] = [];
  for (let at = 0; at < busiest.length; at += BUSY_NUMBERS) {
    const [directory, versions, bytes] = busiest.slice(at, at + BUSY_NUMBERS);
    most.push({ directory: directory!, versions: versions!, bytes: bytes! });
  }
  return { numbers: Object.fromEntries(figures) as StoreFigures['numbers'], busiest: most };
}

function odd(what: string): TardisError {
  return new TardisError('PROTOCOL_VIOLATION', `the ${what} in an answer do not add up`);
}
