/**
 * The archive of a client that encrypts, for who has its keys: what is asked is sealed, what is answered
 * is opened, and refused if it was not sealed by this client. A store keeps sealed names in their own
 * order, so a listing is put in order here, unless it is very large.
 */
import { type BackupSet, entryOfParts, type ListingPage } from '../catalog/index.js';
import type { Keyring } from '../crypto/index.js';
import { type ContentKeys, withTail } from '../model/index.js';
import type { ObjectReader, OwnerRecord, RootRecord, SetNote } from '../store/index.js';
import { Access } from './access.js';
import type {
  Archive,
  ArchiveEntry,
  ContentLocation,
  FoundContent,
  PathVersion,
} from './archive.js';
import { setAt, setNamed } from './sets.js';

/** Directories of more entries come in the order of their sealed names. */
const MAX_SORTED_ENTRIES = 16_384;
const ROOTS_DIRECTORY = 0;
const NOTHING = Buffer.alloc(0);

/** Owns `sealed` from here on. */
export function unsealedArchive(sealed: Archive, keyring: Keyring): Archive {
  return new UnsealedArchive(sealed, keyring);
}

/** A directory whose listing was put in order. */
interface Sorted {
  readonly key: string;
  readonly entries: readonly ArchiveEntry[];
}

class UnsealedArchive implements Archive {
  readonly client: string;
  readonly isFar: boolean;
  readonly clientPath: string | undefined;
  readonly contentKeys: ContentKeys;
  /** Who has the keys may read all there is. */
  readonly access = new Access(undefined);
  /** The last one that was asked for; the next page is of it, mostly. */
  private sorted: Sorted | undefined;
  private readonly sealed: Archive;
  private readonly keyring: Keyring;

  constructor(sealed: Archive, keyring: Keyring) {
    this.sealed = sealed;
    this.keyring = keyring;
    this.client = sealed.client;
    this.isFar = sealed.isFar;
    this.clientPath = sealed.clientPath;
    this.contentKeys = keyring.contents;
  }

  get fetchedBytes(): number {
    return this.sealed.fetchedBytes;
  }

  async sets(): Promise<BackupSet[]> {
    const { names } = this.keyring;
    const sets = await this.sealed.sets();
    return sets.map((set) => ({ ...set, name: names.openText(set.name) }));
  }

  async findSet(text: string | undefined): Promise<BackupSet> {
    return setNamed(this.client, await this.sets(), text);
  }

  async findSetAt(momentMs: number): Promise<BackupSet> {
    return setAt(this.client, await this.sets(), momentMs);
  }

  async roots(set: number): Promise<RootRecord[]> {
    const { names } = this.keyring;
    const roots = await this.sealed.roots(set);
    return roots.map((root) => ({ ...root, path: names.openPath(root.path) }));
  }

  async notes(set: number): Promise<SetNote[]> {
    const { names } = this.keyring;
    const notes = await this.sealed.notes(set);
    return notes.map((note) => ({
      ...note,
      name: note.directory === ROOTS_DIRECTORY ? note.name : names.openName(note.name),
      reason: names.openText(note.reason),
    }));
  }

  async owners(set: number): Promise<OwnerRecord[]> {
    const { names } = this.keyring;
    const owners = await this.sealed.owners(set);
    return owners.map((owner) => ({ ...owner, name: names.openOwner(owner.name) }));
  }

  async find(path: Buffer, set: number): Promise<ArchiveEntry | undefined> {
    const entry = await this.sealed.find(this.keyring.names.path(path), set);
    return entry && this.opened(entry);
  }

  async versions(path: Buffer): Promise<PathVersion[]> {
    const versions = await this.sealed.versions(this.keyring.names.path(path));
    return versions.map((version) => ({ ...version, entry: this.opened(version.entry) }));
  }

  async list(page: ListingPage): Promise<ArchiveEntry[]> {
    const key = `${page.directory}/${page.set}/${page.withDigests}`;
    const isFirst = page.after.length === 0;
    if (isFirst || this.sorted?.key !== key) {
      const entries = isFirst ? await this.listWhole(page) : undefined;
      if (entries === undefined) return this.listAsSealed(page);
      if (entries.length <= page.limit) return entries;
      this.sorted = { key, entries };
    }
    const { entries } = this.sorted;
    const from = entries.findIndex(({ name }) => Buffer.compare(name, page.after) > 0);
    return from < 0 ? [] : entries.slice(from, from + page.limit);
  }

  /** All of a directory, in order; undefined when that is too much. */
  private async listWhole(page: ListingPage): Promise<ArchiveEntry[] | undefined> {
    const entries: ArchiveEntry[] = [];
    for (let { after } = page; ; ) {
      const found = await this.sealed.list({ ...page, after });
      for (const entry of found) entries.push(this.opened(entry));
      if (entries.length > MAX_SORTED_ENTRIES) return undefined;
      if (found.length < page.limit) break;
      after = found.at(-1)!.name;
    }
    return entries.sort((one, other) => Buffer.compare(one.name, other.name));
  }

  private async listAsSealed(page: ListingPage): Promise<ArchiveEntry[]> {
    const { names } = this.keyring;
    const after = page.after.length === 0 ? NOTHING : names.name(page.after);
    const found = await this.sealed.list({ ...page, after });
    return found.map((entry) => this.opened(entry));
  }

  private opened(entry: ArchiveEntry): ArchiveEntry {
    const isRoot = entry.directory === ROOTS_DIRECTORY;
    const { name, linkTarget, attributes } = this.keyring.names.openEntry(entry, isRoot);
    const { directory, firstSet, lastSet, flags, contentId, childId, digest } = entry;
    const hasTail = linkTarget !== undefined || attributes !== undefined;
    const metadata = hasTail
      ? withTail(entry.metadata, linkTarget ?? NOTHING, attributes)
      : entry.metadata;
    const ids = { directory, firstSet, lastSet, contentId, childId };
    return entryOfParts({ ...ids, name, flags, metadata, digest });
  }

  findContents(prefix: Buffer, limit: number): Promise<FoundContent[]> {
    return this.sealed.findContents(prefix, limit);
  }

  locate(contentIds: readonly number[]): Promise<ContentLocation[]> {
    return this.sealed.locate(contentIds);
  }

  objects(): ObjectReader {
    return this.sealed.objects();
  }

  /** A server cannot compare what it cannot read. */
  deltas(): undefined {
    return undefined;
  }

  close(): void {
    this.sealed.close();
  }
}
