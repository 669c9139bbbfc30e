/** Handlers of questions about a client's history: sets, entries, contents and reports. */
import { contentIdOf } from '../../model/index.js';
import {
  type ClientOverview,
  type Handlers,
  type History,
  PAGE_ITEMS,
  pieceOfObject,
} from '../../history/index.js';
import type { ObjectReader } from '../../store/index.js';
import type { ReaderDeltas } from './delta-maker.js';

export function setReaders(
  history: History,
): Pick<Handlers, 'readSets' | 'readRoots' | 'readNotes' | 'readOwners' | 'readSeals'> {
  return {
    readSets: () => history.sets(),
    readRoots: ({ set }) => history.roots(set),
    readNotes: async ({ set, from }) => pageOf(await history.notes(set), from),
    readOwners: async ({ set, from }) => pageOf(await history.owners(set), from),
    readSeals: async ({ set, after }) => {
      const { directories, setSeal } = await history.seals(set, after, PAGE_ITEMS);
      return { items: directories, setSeal, hasMore: directories.length === PAGE_ITEMS };
    },
  };
}

export function entryReaders(
  history: History,
): Pick<Handlers, 'readEntry' | 'readListing' | 'readVersions' | 'readDigests' | 'readPlaces'> {
  return {
    readEntry: ({ set, path }) => history.find(path, set),
    readListing: async (page) => {
      const entries = await history.list(page);
      return { entries, hasMore: entries.length === page.limit };
    },
    readVersions: ({ path }) => history.versions(path),
    readDigests: ({ prefix, limit }) => history.findContents(prefix, limit),
    readPlaces: ({ contents }) =>
      history.locate(contents.map((id) => ({ contentId: contentIdOf(id), digest: undefined }))),
  };
}

export function reportReaders(
  { client, reports }: History,
  clients: (only?: string) => Promise<readonly ClientOverview[]>,
): Pick<
  Handlers,
  | 'readSetRoots'
  | 'readChanges'
  | 'readNamed'
  | 'readDirectoryPaths'
  | 'readSettings'
  | 'readConfiguration'
  | 'readFigures'
  | 'readSizes'
  | 'readStore'
  | 'readClients'
  | 'readOwnState'
> {
  return {
    readSetRoots: async () => ({ roots: await reports.rootsOfSets(), next: undefined }),
    readChanges: (page) => reports.changes(page),
    readNamed: (page) => reports.named({ ...page, isMatch: () => true }),
    readDirectoryPaths: ({ set, directories }) => reports.directoryPaths(set, directories),
    readSettings: () => reports.settings(),
    readConfiguration: ({ set }) => reports.clientConfig(set),
    readFigures: () => reports.figures(),
    readSizes: (request) => reports.sizes(request),
    readStore: () => reports.store(),
    readClients: () => clients(),
    readOwnState: async () => (await clients(client)).filter((one) => one.client === client),
  };
}

export function objectReader(backend: ObjectReader): Pick<Handlers, 'readObject'> {
  return { readObject: (piece) => pieceOfObject(backend, piece) };
}

export function deltaReaders(
  deltas: ReaderDeltas,
): Pick<Handlers, 'readerSignature' | 'readDelta' | 'dropSignature'> {
  return {
    readerSignature: async ({ signature, basisBytes, bytes, isLast }) => {
      deltas.sign(signature, basisBytes, bytes, isLast);
    },
    readDelta: ({ signature, digest, first }) => deltas.next(signature, digest, first),
    dropSignature: ({ signature }) => deltas.drop(signature),
  };
}

function pageOf<T>(all: readonly T[], from: number): { items: readonly T[]; hasMore: boolean } {
  const items = all.slice(from, from + PAGE_ITEMS);
  return { items, hasMore: from + items.length < all.length };
}
