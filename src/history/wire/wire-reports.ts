/** Codecs of reports, and of settings that are stored with a client. */
import type { EntryPlace } from '../../store/catalog/index.js';
import {
  type ClientConfig,
  type ClientSetting,
  isClientConfig,
  isClientSetting,
  listAt,
  NO_BYTES,
  type SetNumber,
} from '../../model/index.js';
import { type Body, MAX_DIRECTORY_PATHS, MAX_PAGE_ENTRIES } from '../../transport/index.js';
import {
  type ChangesFound,
  type ChangesPage,
  MOST_BUSY,
  type NamedPage,
  type NamesFound,
  type SizesBelow,
  type SizesFound,
  type SizesRequest,
  STORE_FIGURES,
  type StoreFigures,
} from '../reports.js';
import {
  asIs,
  type Coder,
  fitting,
  isParallel,
  isPath,
  odd,
  PAGE_BYTES,
  PAGE_ITEMS,
  refused,
} from './coder.js';
import { entriesFromWire, entriesToWire } from './wire-entries.js';

/**
 * Encodes the roots of sets from `from` on: of as many sets as fit into one message, and at least of the first one.
 */
export function setRootsToWire(
  all: ReadonlyMap<SetNumber, readonly Buffer[]>,
  from: SetNumber,
  most: { readonly roots: number; readonly bytes: number },
): Body<'setRootsAre'> {
  let bytes = 0;
  const known = new Map<string, number>();
  const reply = { paths: [] as Buffer[], sets: [] as number[], roots: [] as number[], more: false };
  const sets = [...all].filter(([set]) => set >= from).sort(([one], [other]) => one - other);
  for (const [set, roots] of sets) {
    const isFull = reply.sets.length + roots.length > most.roots || bytes > most.bytes;
    if (reply.sets.length > 0 && isFull) {
      reply.more = true;
      break;
    }
    for (const path of roots) {
      const key = path.toString('latin1');
      let index = known.get(key);
      if (index === undefined) {
        index = reply.paths.push(path) - 1;
        known.set(key, index);
        bytes += path.length;
      }
      reply.sets.push(set);
      reply.roots.push(index);
    }
  }
  return reply;
}

/**
 * Adds the decoded roots to `all`. Returns the set to continue from; undefined if there are no more. Throws
 * PROTOCOL_VIOLATION if the fields are malformed.
 */
export function setRootsFromWire(
  { paths, sets, roots, more }: Body<'setRootsAre'>,
  from: SetNumber,
  all: Map<SetNumber, Buffer[]>,
): SetNumber | undefined {
  if (sets.length !== roots.length) throw odd('roots');
  if (!paths.every(isPath)) throw odd('roots');
  let last = from - 1;
  sets.forEach((set, index) => {
    const path = paths[roots[index]!];
    if (path === undefined || set < from || set < last) throw odd('roots');
    last = set;
    listAt(all, set).push(path);
  });
  if (more && sets.length === 0) throw odd('roots');
  return more ? last + 1 : undefined;
}

/** Encodes a page of changes. Cuts the page between two names once it exceeds PAGE_BYTES. */
function changesToWire({ entries, next }: ChangesFound): Body<'changesAre'> {
  let bytes = 0;
  let end = entries.length;
  for (let at = 0; at < entries.length; at += 1) {
    const { directory, name, metadata } = entries[at]!;
    const before = entries[at - 1];
    const isNext = before?.directory === directory && before.name.equals(name);
    if (bytes > PAGE_BYTES && !isNext) {
      end = at;
      break;
    }
    bytes += metadata.length + name.length;
  }
  const { rows, numbers } = entriesToWire(entries.slice(0, end), false);
  return { rows, numbers, next: end < entries.length ? placeOf(entries[end - 1]!) : next };
}

/** Roots of sets, and the set to continue from if there are more. */
interface SetRoots {
  readonly roots: ReadonlyMap<SetNumber, readonly Buffer[]>;
  readonly next: SetNumber | undefined;
}

/** The roots of sets from a set on; the encoder cuts them to a page. */
export const SET_ROOTS: Coder<SetRoots, Body<'setRootsAre'>, Body<'readSetRoots'>> = {
  toWire: ({ roots }, { from }) =>
    setRootsToWire(roots, from, { roots: PAGE_ITEMS, bytes: PAGE_BYTES }),
  fromWire: (reply, { from }) => {
    const roots = new Map<SetNumber, Buffer[]>();
    return { roots, next: setRootsFromWire(reply, from, roots) };
  },
};

export const CHANGES_PAGE = asIs<'readChanges'>(({ before, set, limit }) => {
  if (before >= set || limit > MAX_PAGE_ENTRIES) throw refused('sets or a limit');
});

export const CHANGES: Coder<ChangesFound, Body<'changesAre'>, Pick<ChangesPage, 'after'>> = {
  toWire: changesToWire,
  fromWire: ({ next, ...fields }, { after }) => {
    const entries = entriesFromWire(fields);
    if (!isFurther(next, after)) throw odd('changes');
    return { entries, next };
  },
};

/** A request for names. The reader matches the names itself, since a server does not run expressions of a peer. */
type NamesRequest = Omit<NamedPage, 'isMatch'>;

/** A page of names. The sender bounds its length. */
export const NAMES: Coder<NamesFound, Body<'namesAre'>, NamesRequest> = {
  toWire: ({ versions, next }) => ({
    directories: versions.map(({ directory }) => directory),
    names: versions.map(({ name }) => name),
    firstSets: versions.map(({ firstSet }) => firstSet),
    lastSets: versions.map(({ lastSet }) => lastSet ?? 0),
    next,
  }),
  fromWire: ({ directories, names, firstSets, lastSets, next }, { after }) => {
    if (!isParallel(directories, names, firstSets, lastSets)) throw odd('names');
    const versions = directories.map((directory, index) => ({
      directory,
      name: names[index]!,
      firstSet: firstSets[index]!,
      lastSet: lastSets[index] === 0 ? undefined : lastSets[index]!,
    }));
    if (!isFurther(next, after)) throw odd('names');
    return { versions, next };
  },
};

export const DIRECTORIES = asIs<'readDirectoryPaths'>(({ directories }) => {
  if (directories.length > MAX_DIRECTORY_PATHS) throw refused('a number of directories');
});

/** The paths of the first requested directories, at least of one; undefined for one that the set does not have. */
export const DIRECTORY_PATHS: Coder<
  readonly (Buffer | undefined)[],
  Body<'directoryPathsAre'>,
  Body<'readDirectoryPaths'>
> = {
  toWire: (found) => ({
    paths: fitting(found, (path) => path?.length ?? 0).map((path) => path ?? NO_BYTES),
  }),
  fromWire: ({ paths }, { directories }) => {
    const isRight = paths.length > 0 && paths.length <= directories.length;
    if (!isRight || !paths.every((path) => path.length === 0 || isPath(path))) throw odd('paths');
    return paths.map((path) => (path.length === 0 ? undefined : path));
  },
};

export const SETTINGS: Coder<readonly ClientSetting[], Body<'settingsAre'>, unknown> = {
  toWire: (settings) => ({ settings }),
  fromWire: ({ settings }) => {
    if (!settings.every(isClientSetting)) throw odd('settings');
    return settings;
  },
};

/** The configuration that a client sent with a set, if it sent one. */
export const CONFIGURATION: Coder<ClientConfig | undefined, Body<'configurationIs'>, unknown> = {
  toWire: (config) => ({ config }),
  fromWire: ({ config }) => {
    if (config !== undefined && !isClientConfig(config)) throw odd('settings');
    return config;
  },
};

export const SIZES_REQUEST = asIs<'readSizes'>(({ before, set, limit }) => {
  if (before > set || limit > MAX_PAGE_ENTRIES) throw refused('sets or a limit');
});

/** Returns sums as numbers that a message can have, whatever sizes a damaged catalog has. */
function possible<Sums extends SizesBelow>(sums: Sums): Sums {
  const limited = ['files', 'bytes', 'newBytes', 'earlierBytes'] as const;
  const numbers = limited.map((name) => [
    name,
    Math.min(Math.max(0, sums[name]), Number.MAX_SAFE_INTEGER),
  ]);
  return { ...sums, ...Object.fromEntries(numbers) };
}

export const SIZES: Coder<SizesFound, Body<'sizesAre'>, SizesRequest> = {
  toWire: ({ sums, below, ...found }) => ({
    ...found,
    sums: sums && possible(sums),
    below: below.map(possible),
  }),
  fromWire: ({ sums, ...found }, { limit }) => {
    if (found.below.length > limit) throw odd('sizes');
    return { ...found, sums };
  },
};

export const FIGURES: Coder<StoreFigures, Body<'figuresAre'>, unknown> = {
  toWire: (figures) => figures,
  fromWire: ({ numbers, busiest }) => {
    const isWhole = STORE_FIGURES.every((name) => Object.hasOwn(numbers, name));
    if (!isWhole || busiest.length > MOST_BUSY) throw odd('figures');
    const figures = STORE_FIGURES.map((name) => [name, numbers[name]]);
    return { numbers: Object.fromEntries(figures) as StoreFigures['numbers'], busiest };
  },
};

/** Maximum block size of a file system that is accepted from a peer. */
const MAX_BLOCK_BYTES = 1 << 30;

export const STORE = asIs<'storeIs'>(({ space }) => {
  const { blockBytes, blocks, freeBlocks, availableBlocks } = space;
  const isPossible = blockBytes > 0 && blockBytes <= MAX_BLOCK_BYTES;
  if (!isPossible || Math.max(freeBlocks, availableBlocks) > blocks) throw odd('blocks');
});

function placeOf({ directory, name }: EntryPlace): EntryPlace {
  return { directory, name };
}

/** True if a page continues after the requested place, so that a server cannot repeat pages without end. */
function isFurther(next: EntryPlace | undefined, after: EntryPlace): boolean {
  return (
    next === undefined ||
    next.directory > after.directory ||
    (next.directory === after.directory && Buffer.compare(next.name, after.name) > 0)
  );
}
