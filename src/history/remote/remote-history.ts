/** The history of a server: the same calls as for a local store, sent over a connection. */
import {
  Access,
  type History,
  type HistoryEntry,
  type BackupSet,
  type ContentLocation,
  entriesFromWire,
  type FoundContent,
  type ObjectReader,
  type PathVersion,
  placesFromWire,
  type RootRecord,
  setAt,
  setNamed,
  type SetNote,
  type SetSeals,
  setsFromWire,
  unsealedHistory,
  versionsFromWire,
  type WantedContent,
} from '../index.js';
import type { Keyring } from '../../crypto/index.js';
import type { DeltaSource } from '../../delta/index.js';
import { asTardisError, TardisError } from '../../errors/index.js';
import { DIGEST_BYTES, DIRECTORY_SEAL_BYTES } from '../../model/index.js';
import type { System } from '../../system/index.js';
import { MAX_LOCATED, MAX_PAGE_ENTRIES, MAX_READ_BYTES } from '../../transport/index.js';
import { RemotePeer, type RemotePlace } from './remote-peer.js';
import { RemoteReports } from './remote-reports.js';

type ListingPage = Parameters<History['list']>[0];
type OwnerRecord = Awaited<ReturnType<History['owners']>>[number];

/**
 * Connects to a server, logs in and opens a client for reading. Throws SERVER_UNREACHABLE, NO_SUCH_CLIENT,
 * LOGIN_FAILED, …
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
  readonly client: string;
  readonly isFar = true;
  readonly access = new Access(undefined); // the rights of the session limit what may be read
  readonly clientPath = undefined;
  readonly contentKeys = undefined;
  readonly doubts = [];
  readonly reports: RemoteReports;
  fetchedBytes = 0;
  private readonly peer: RemotePeer;

  constructor(client: string, peer: RemotePeer) {
    this.client = client;
    this.peer = peer;
    this.reports = new RemoteReports(peer);
  }

  async sets(): Promise<BackupSet[]> {
    const { head } = await this.peer.ask('readSets', 'setsAre', {});
    return setsFromWire(head);
  }

  async findSet(text: string | undefined): Promise<BackupSet> {
    return setNamed(this.client, await this.sets(), text);
  }

  async findSetAt(momentMs: number): Promise<BackupSet> {
    return setAt(this.client, await this.sets(), momentMs);
  }

  async roots(set: number): Promise<RootRecord[]> {
    const { head } = await this.peer.ask('readRoots', 'rootsAre', { set });
    const { roots, paths, directories, devices } = head;
    const { length } = roots;
    if ([paths, directories, devices].some((list) => list.length !== length)) throw odd('roots');
    return roots.map((root, index) => {
      const path = paths[index]!;
      if (path[0] !== SLASH || path.includes(0)) throw odd('roots');
      return { root, path, directory: directories[index]!, device: devices[index]! };
    });
  }

  async seals(set: number, after: number, limit: number): Promise<SetSeals> {
    const found: { directory: number; seal: Buffer }[] = [];
    let setSeal: Buffer | undefined;
    for (let more = true; more && found.length < limit; ) {
      const question = { set, after: found.at(-1)?.directory ?? after };
      const { head } = await this.peer.ask('readSeals', 'sealsAre', question);
      const { directories, seals } = head;
      if (seals.length !== directories.length * DIRECTORY_SEAL_BYTES) throw odd('seals');
      directories.forEach((directory, index) => {
        const at = index * DIRECTORY_SEAL_BYTES;
        if (directory <= (found.at(-1)?.directory ?? after)) throw odd('seals');
        found.push({ directory, seal: seals.subarray(at, at + DIRECTORY_SEAL_BYTES) });
      });
      setSeal = head.setSeal.length === 0 ? undefined : head.setSeal;
      more = head.more && directories.length > 0;
    }
    return { directories: found, setSeal };
  }

  async notes(set: number): Promise<SetNote[]> {
    const notes: SetNote[] = [];
    for (let more = true; more; ) {
      const { head } = await this.peer.ask('readNotes', 'notesAre', { set, from: notes.length });
      const { directories, names, whats, reasons } = head;
      const { length } = directories;
      if ([names, whats, reasons].some((list) => list.length !== length)) throw odd('notes');
      directories.forEach((directory, index) => {
        const [name, what, reason] = [names[index]!, whats[index]!, reasons[index]!];
        notes.push({ directory, name, what, reason });
      });
      more = head.more && length > 0;
    }
    return notes;
  }

  async owners(set: number): Promise<OwnerRecord[]> {
    const owners: OwnerRecord[] = [];
    for (let more = true; more; ) {
      const { head } = await this.peer.ask('readOwners', 'ownersAre', { set, from: owners.length });
      const { groups, ids, names } = head;
      if ([groups, names].some((list) => list.length !== ids.length)) throw odd('owners');
      ids.forEach((id, index) => {
        owners.push({ isGroup: groups[index] === 1, id, name: names[index]! });
      });
      more = head.more && ids.length > 0;
    }
    return owners;
  }

  async find(path: Buffer, set: number): Promise<HistoryEntry | undefined> {
    const { head } = await this.peer.ask('readEntry', 'entriesAre', { set, path });
    return entriesFromWire(head)[0];
  }

  async list(page: ListingPage): Promise<HistoryEntry[]> {
    const { directory, set, withDigests, unlike = 0 } = page;
    const entries: HistoryEntry[] = [];
    let { after } = page;
    for (;;) {
      const limit = Math.min(page.limit - entries.length, MAX_PAGE_ENTRIES);
      const question = { directory, set, after, limit, withDigests, unlike };
      const { head } = await this.peer.ask('readListing', 'entriesAre', question);
      const found = entriesFromWire(head);
      for (const entry of found) {
        if (Buffer.compare(entry.name, after) <= 0) throw odd('entries');
        after = entry.name;
        entries.push(entry);
      }
      if (!head.more || found.length === 0 || entries.length >= page.limit) return entries;
    }
  }

  async findContents(prefix: Buffer, limit: number): Promise<FoundContent[]> {
    const { head } = await this.peer.ask('readDigests', 'digestsAre', { prefix, limit });
    const { contents, digests, sizes } = head;
    const isOdd = [digests, sizes].some((list) => list.length !== contents.length);
    if (isOdd || digests.some(({ length }) => length !== DIGEST_BYTES)) throw odd('digests');
    return contents.map((contentId, index) => ({
      contentId,
      digest: digests[index]!,
      sizeBytes: sizes[index]!,
    }));
  }

  async versions(path: Buffer): Promise<PathVersion[]> {
    const { head } = await this.peer.ask('readVersions', 'entriesAre', { path });
    return versionsFromWire(head);
  }

  async locate(wanted: readonly WantedContent[]): Promise<ContentLocation[]> {
    const contentIds = wanted.map(({ contentId = 0 }) => contentId);
    const asked: Promise<ContentLocation[]>[] = [];
    for (let from = 0; from < contentIds.length; from += MAX_LOCATED) {
      asked.push(this.locatePage(contentIds.slice(from, from + MAX_LOCATED)));
    }
    return (await Promise.all(asked)).flat();
  }

  private async locatePage(contents: number[]): Promise<ContentLocation[]> {
    const { head } = await this.peer.ask('readPlaces', 'placesAre', { contents });
    return placesFromWire(head, contents.length);
  }

  objects(): ObjectReader {
    return {
      read: async (object, position, target, bytes) => {
        const asked: Promise<number>[] = [];
        for (let from = 0; from < bytes; from += MAX_READ_BYTES) {
          const length = Math.min(MAX_READ_BYTES, bytes - from);
          asked.push(this.readPiece(object, position + from, target.subarray(from, from + length)));
        }
        return (await Promise.all(asked)).reduce((sum, got) => sum + got, 0);
      },
      close: () => undefined, // the connection belongs to the history
    };
  }

  deltas(): DeltaSource {
    const { peer } = this;
    /** Number of the connection on which each signature was sent. */
    const generations = new Map<number, number>();
    const known = (signature: number): number => generations.get(signature) ?? peer.generation;
    return {
      sign: async (signature, basisBytes, bytes, isLast) => {
        const generation = known(signature);
        generations.set(signature, generation);
        const question = { signature, basisBytes, last: isLast };
        await peer.ask('readerSignature', 'signatureTaken', question, {
          attachment: bytes,
          generation,
        });
      },
      next: async (signature, digest, isFirst) => {
        const question = { signature, digest: Buffer.from(digest), first: isFirst };
        const generation = known(signature);
        try {
          const asked = peer.ask('readDelta', 'deltaIs', question, { generation });
          const { head, attachment } = await asked;
          this.fetchedBytes += attachment.length;
          return { chunk: attachment, isLast: head.last, isUseless: head.useless };
        } catch (error) {
          if (asTardisError(error).code !== 'CONNECTION_LOST') throw error;
          return { chunk: Buffer.alloc(0), isLast: false, isUseless: true }; // the content is then read whole
        }
      },
      drop: async (signature) => {
        const generation = known(signature);
        generations.delete(signature);
        await peer.ask('dropSignature', 'signatureTaken', { signature }, { generation });
      },
    };
  }

  private async readPiece(object: string, position: number, target: Uint8Array): Promise<number> {
    const question = { object, position, bytes: target.length };
    const { head, attachment } = await this.peer.ask('readObject', 'objectIs', question);
    if (!head.exists) {
      throw Object.assign(new Error(`ENOENT: ${object}`), { code: 'ENOENT', syscall: 'read' });
    }
    if (attachment.length > target.length) throw odd('bytes');
    this.fetchedBytes += attachment.length;
    target.set(attachment);
    return attachment.length;
  }

  close(): void {
    this.peer.close();
  }
}

const SLASH = 0x2f;

function odd(what: string): TardisError {
  return new TardisError('PROTOCOL_VIOLATION', `the ${what} in an answer do not add up`);
}
