/** The history of a server: the same calls as for a local store, sent over a connection. */
import type { Keyring } from '../crypto/index.js';
import type { DeltaSource } from '../delta/index.js';
import { asTardisError } from '../errors/index.js';
import {
  Access,
  type BackupSet,
  type ChangesFound,
  type ChangesPage,
  type ClientOverview,
  type ContentLocation,
  type FoundContent,
  type History,
  type HistoryEntry,
  type NamedPage,
  type NamesFound,
  type ObjectReader,
  objectsInPieces,
  odd,
  type PathVersion,
  type Reply,
  type Reports,
  type RequestedContent,
  type RootRecord,
  setAt,
  setNamed,
  type SetNote,
  type SetSeals,
  type SizesFound,
  type SizesRequest,
  type StoreFigures,
  type StoreState,
  unsealedHistory,
} from '../history/index.js';
import {
  bufferOf,
  type ClientConfig,
  type ClientSetting,
  type DirectoryId,
  RECENT_RUNS,
  type RightName,
  RIGHTS,
  type RunRecord,
  type SetNumber,
} from '../model/index.js';
import type { System } from '../system/index.js';
import { MAX_DIRECTORY_PATHS, MAX_LOCATED, MAX_PAGE_ENTRIES } from '../transport/index.js';
import { RemotePeer, type RemotePlace, type TokenPlace } from './remote-peer.js';

/** Maximum number of notes or owners of a set that are read. */
const MAX_LISTED = 1 << 22;

type ListingPage = Parameters<History['list']>[0];
type OwnerRecord = Awaited<ReturnType<History['owners']>>[number];

/**
 * Connects to a server, logs in and opens a client for reading. Throws errors of the connection and the login, such as
 * SERVER_UNREACHABLE, NO_SUCH_CLIENT or LOGIN_FAILED.
 */
export async function openRemoteHistory(system: System, place: RemotePlace): Promise<History> {
  const { peer, keyring } = await RemotePeer.open(system, place);
  return historyOf(system, place.client, peer, keyring);
}

/** Returns the history that a peer serves. Closing the history closes the peer. */
export function historyOf(
  system: System,
  client: string,
  peer: RemotePeer,
  keyring: Keyring | undefined,
): History {
  const history = new RemoteHistory(client, peer);
  return keyring === undefined ? history : unsealedHistory(history, keyring, system.native);
}

class RemoteHistory implements History {
  readonly isRemote = true;
  readonly access = new Access(undefined); // the rights of the session limit what may be read
  readonly directory = undefined;
  readonly contentKeys = undefined;
  readonly doubts = [];
  readonly reports: RemoteReports;
  fetchedBytes = 0;

  constructor(
    readonly client: string,
    private readonly peer: RemotePeer,
  ) {
    this.reports = new RemoteReports(peer);
  }

  async sets(): Promise<BackupSet[]> {
    return [...(await this.peer.request('readSets', undefined))];
  }

  async findSet(text: string | undefined): Promise<BackupSet> {
    return setNamed(this.client, await this.sets(), text);
  }

  async findSetAt(momentMs: number): Promise<BackupSet> {
    return setAt(this.client, await this.sets(), momentMs);
  }

  async roots(set: SetNumber): Promise<RootRecord[]> {
    return [...(await this.peer.request('readRoots', { set }))];
  }

  async seals(set: SetNumber, after: DirectoryId, limit: number): Promise<SetSeals> {
    const directories: SetSeals['directories'][number][] = [];
    let setSeal: Buffer | undefined;
    for (let hasMore = true; hasMore && directories.length < limit; ) {
      const question = { set, after: directories.at(-1)?.directory ?? after };
      const page = await this.peer.request('readSeals', question);
      directories.push(...page.items);
      ({ setSeal, hasMore } = page);
    }
    return { directories, setSeal };
  }

  notes(set: SetNumber): Promise<SetNote[]> {
    return allOf((from) => this.peer.request('readNotes', { set, from }));
  }

  owners(set: SetNumber): Promise<OwnerRecord[]> {
    return allOf((from) => this.peer.request('readOwners', { set, from }));
  }

  find(path: Buffer, set: SetNumber): Promise<HistoryEntry | undefined> {
    return this.peer.request('readEntry', { set, path });
  }

  async list(page: ListingPage): Promise<HistoryEntry[]> {
    const found: HistoryEntry[] = [];
    for (let hasMore = true; hasMore && found.length < page.limit; ) {
      const limit = Math.min(page.limit - found.length, MAX_PAGE_ENTRIES);
      const after = found.at(-1)?.name ?? page.after;
      const next = await this.peer.request('readListing', { ...page, after, limit });
      for (const entry of next.entries) found.push(entry);
      ({ hasMore } = next);
    }
    return found;
  }

  async findContents(prefix: Buffer, limit: number): Promise<FoundContent[]> {
    return [...(await this.peer.request('readDigests', { prefix, limit }))];
  }

  async versions(path: Buffer): Promise<PathVersion[]> {
    return [...(await this.peer.request('readVersions', { path }))];
  }

  async locate(requested: readonly RequestedContent[]): Promise<ContentLocation[]> {
    const contentIds = requested.map(({ contentId = 0 }) => contentId);
    const replies: Promise<readonly ContentLocation[]>[] = [];
    for (let from = 0; from < contentIds.length; from += MAX_LOCATED) {
      replies.push(
        this.peer.request('readPlaces', { contents: contentIds.slice(from, from + MAX_LOCATED) }),
      );
    }
    return (await Promise.all(replies)).flat();
  }

  objects(): ObjectReader {
    return objectsInPieces(async (piece) => {
      const found = await this.peer.request('readObject', piece);
      this.fetchedBytes += found?.length ?? 0;
      return found;
    });
  }

  deltas(): DeltaSource | undefined {
    const { peer } = this;
    if (!peer.makesDeltas) return undefined;
    /** Number of the connection on which each signature was sent. */
    const generations = new Map<number, number>();
    const known = (signature: number): number => generations.get(signature) ?? peer.generation;
    return {
      sign: async (signature, basisBytes, bytes, isLast) => {
        const generation = known(signature);
        generations.set(signature, generation);
        const piece = { signature, basisBytes, isLast, bytes: bufferOf(bytes) };
        await peer.request('readerSignature', piece, generation);
      },
      next: async (signature, digest, isFirst) => {
        const question = { signature, digest: Buffer.from(digest), first: isFirst };
        try {
          const part = await peer.request('readDelta', question, known(signature));
          this.fetchedBytes += part.chunk.length;
          return part;
        } catch (error) {
          if (asTardisError(error).code !== 'CONNECTION_LOST') throw error;
          return { chunk: Buffer.alloc(0), isLast: false, isUseless: true }; // the content is then read whole
        }
      },
      drop: async (signature) => {
        const generation = known(signature);
        generations.delete(signature);
        await peer.request('dropSignature', { signature }, generation);
      },
    };
  }

  close(): void {
    this.peer.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Returns all items of a list that a server gives in pages. Throws PROTOCOL_VIOLATION for more than MAX_LISTED items.
 */
async function allOf<T>(
  pageFrom: (from: number) => Promise<{ readonly items: readonly T[]; readonly hasMore: boolean }>,
): Promise<T[]> {
  const all: T[] = [];
  for (let hasMore = true; hasMore; ) {
    const page = await pageFrom(all.length);
    for (const item of page.items) all.push(item);
    if (all.length > MAX_LISTED) throw odd('items of a list');
    ({ hasMore } = page);
  }
  return all;
}

export interface TokenHistory {
  readonly history: History;
  /** The rights that the server grants; it checks each question itself. */
  readonly rights: ReadonlySet<RightName>;
  /** True if names and contents are encrypted. */
  readonly isSealed: boolean;
  /** Returns the clients of the owner. Throws NOT_PERMITTED without the right `admin`. */
  clients(): Promise<readonly ClientOverview[]>;
}

/**
 * Logs in to a server by a token, once: after a lost connection every call fails. Throws NOT_PERMITTED without the
 * right to list, and the errors of `RemotePeer.openByToken`.
 */
export async function openHistoryByToken(
  system: System,
  place: TokenPlace,
  client: string,
  token: string,
): Promise<TokenHistory> {
  const { peer, taken } = await RemotePeer.openByToken(system, place, token);
  return {
    history: historyOf(system, client, peer, undefined),
    rights: new Set(RIGHTS.filter((right) => taken.rights.includes(right))),
    isSealed: taken.isSealed,
    clients: () => peer.request('readClients', undefined),
  };
}

/** Reports of a server. Its answers are checked. Each page must advance, which bounds the number of pages. */
class RemoteReports implements Reports {
  constructor(private readonly peer: RemotePeer) {}

  async rootsOfSets(): Promise<ReadonlyMap<SetNumber, readonly Buffer[]>> {
    const all = new Map<SetNumber, readonly Buffer[]>();
    for (let from: SetNumber | undefined = 1; from !== undefined; ) {
      const { roots, next }: Reply<'readSetRoots'> = await this.peer.request('readSetRoots', {
        from,
      });
      for (const [set, paths] of roots) all.set(set, paths);
      from = next;
    }
    return all;
  }

  changes(page: ChangesPage): Promise<ChangesFound> {
    return this.peer.request('readChanges', page);
  }

  async named({ after, literal, isMatch }: NamedPage): Promise<NamesFound> {
    const { versions, next } = await this.peer.request('readNamed', { after, literal });
    return { versions: versions.filter(({ name }) => isMatch(name)), next };
  }

  async directoryPaths(
    set: SetNumber,
    directories: readonly DirectoryId[],
  ): Promise<(Buffer | undefined)[]> {
    const all: (Buffer | undefined)[] = [];
    while (all.length < directories.length) {
      const part = directories.slice(all.length, all.length + MAX_DIRECTORY_PATHS);
      all.push(...(await this.peer.request('readDirectoryPaths', { set, directories: part })));
    }
    return all;
  }

  settings(): Promise<readonly ClientSetting[]> {
    return this.peer.request('readSettings', undefined);
  }

  clientConfig(set: SetNumber): Promise<ClientConfig | undefined> {
    return this.peer.request('readConfiguration', { set });
  }

  figures(): Promise<StoreFigures> {
    return this.peer.request('readFigures', undefined);
  }

  sizes(request: SizesRequest): Promise<SizesFound> {
    return this.peer.request('readSizes', request);
  }

  store(): Promise<StoreState> {
    return this.peer.request('readStore', undefined);
  }

  runs(most: number = RECENT_RUNS): Promise<readonly RunRecord[]> {
    return this.peer.request('readRuns', { most });
  }

  noteRuns(runs: readonly RunRecord[]): Promise<void> {
    return this.peer.request('noteRuns', runs);
  }

  async ownState(): Promise<ClientOverview | undefined> {
    return (await this.peer.request('readOwnState', undefined))[0];
  }
}
