/**
 * The archive of a client that encrypts, for who has its keys: what is asked is sealed, what is answered
 * is opened, and refused unless this client sealed it, in this set, at this place. A store keeps sealed
 * names in their own order, so a listing is put in order here, unless it is very large.
 */
import { type BackupSet, type ListingPage, ROOTS_DIRECTORY } from '../catalog/index.js';
import { type Keyring, SealSum } from '../crypto/index.js';
import { TardisError } from '../errors/index.js';
import {
  contentDigest,
  type ContentKeys,
  mappedMarks,
  NO_SEAL,
  partsDigest,
  sealIn,
  splitPath,
} from '../model/index.js';
import type { ObjectReader, OwnerRecord, RootRecord, SetNote } from '../store/index.js';
import type { NativeCalls } from '../system/index.js';
import { Access } from './access.js';
import type {
  Archive,
  ArchiveEntry,
  ContentLocation,
  FoundContent,
  PathVersion,
  SetSeals,
  WantedContent,
} from './archive.js';
import { DirectoryPlaces } from './directory-places.js';
import { EntryOpener, otherContent } from './opened-entries.js';
import { type ProvenSet, ProvenSets } from './proven-sets.js';
import type { Reports } from './reports.js';
import { rootAbove } from './roots.js';
import { setAt, setNamed } from './sets.js';
import { UnsealedReports } from './unsealed-reports.js';

/** Directories of more entries come in the order of their sealed names. */
const MAX_SORTED_ENTRIES = 16_384;
const PAGE_ENTRIES = 2048;
/** Listings that are kept. */
const MAX_LISTED = 4;
const NOTHING = Buffer.alloc(0);
/** Some of a listing could not be read when it was sealed: its entries are proven one by one only. */
const PARTIAL = NO_SEAL;

/** Owns `sealed` from here on. */
export function unsealedArchive(sealed: Archive, keyring: Keyring, native: NativeCalls): Archive {
  return new UnsealedArchive(sealed, keyring, native);
}

/** A listing that was proven. */
interface Listed {
  /** In order; undefined where they are too many. */
  readonly entries: readonly ArchiveEntry[] | undefined;
  /** Of those: what the entries of each page add up to, by the name it begins behind. */
  readonly pages: ReadonlyMap<string, Buffer>;
}

class UnsealedArchive implements Archive {
  readonly client: string;
  readonly isFar: boolean;
  readonly clientPath: string | undefined;
  readonly contentKeys: ContentKeys;
  readonly reports: Reports;
  /** Who has the keys may read all there is. */
  readonly access = new Access(undefined);
  /** The last ones that were asked for; the next page is of one of them, mostly. */
  private readonly listed = new Map<string, Listed>();
  private readonly places = new DirectoryPlaces();
  private unprovenDirectories = 0;
  private readonly unsealedSets = new Set<number>();
  private readonly opener: EntryOpener;
  private readonly proven: ProvenSets;
  private readonly sealed: Archive;
  private readonly keyring: Keyring;
  private readonly native: NativeCalls;

  constructor(sealed: Archive, keyring: Keyring, native: NativeCalls) {
    this.sealed = sealed;
    this.keyring = keyring;
    this.native = native;
    this.client = sealed.client;
    this.isFar = sealed.isFar;
    this.clientPath = sealed.clientPath;
    this.contentKeys = keyring.contents;
    this.proven = new ProvenSets(sealed, keyring);
    this.opener = new EntryOpener(keyring, native);
    this.reports = new UnsealedReports(sealed.reports, keyring, this.opener);
  }

  get fetchedBytes(): number {
    return this.sealed.fetchedBytes;
  }

  get doubts(): readonly string[] {
    const sets = [...this.unsealedSets].map(
      (set) => `set ${set} is not complete, so nothing proves that it is whole`,
    );
    if (this.proven.doubt !== undefined) sets.push(this.proven.doubt);
    const count = this.unprovenDirectories;
    if (count === 0) return sets;
    const what = count === 1 ? 'a directory was' : `${count} directories were`;
    return [...sets, `${what} not read whole by this set: nothing proves that all is there`];
  }

  async sets(): Promise<BackupSet[]> {
    await this.proven.checkMemory();
    const { names } = this.keyring;
    const sets = await this.sealed.sets();
    return sets.map((set) => ({
      ...set,
      name: names.openText(set.name),
      firstName: names.openText(set.firstName),
      marks: mappedMarks(set.marks, (text) => names.openText(text)),
    }));
  }

  async findSet(text: string | undefined): Promise<BackupSet> {
    return setNamed(this.client, await this.sets(), text);
  }

  /**
   * By the client's clock: what the server's said is not sealed. The set behind the one that is chosen is
   * proven too, so that none can be passed over by another time.
   */
  async findSetAt(momentMs: number): Promise<BackupSet> {
    const sets = await this.sets();
    const timed = sets.map((set) => ({ ...set, openedAtMs: set.clientTimeMs }));
    const { set: chosen } = setAt(this.client, timed, momentMs);
    const next = sets.find(({ set, state }) => state === 'complete' && set > chosen);
    if (next !== undefined) await this.provenSet(next.set);
    return sets.find(({ set }) => set === chosen)!;
  }

  async roots(set: number): Promise<RootRecord[]> {
    const { roots } = await this.provenSet(set);
    return [...roots].sort((one, other) => Buffer.compare(one.path, other.path));
  }

  seals(set: number, after: number, limit: number): Promise<SetSeals> {
    return this.sealed.seals(set, after, limit);
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
    return owners.map((owner) => ({ ...owner, name: names.openOwner(owner) }));
  }

  /** Found in the proven listing of each directory on the way. */
  async find(path: Buffer, set: number): Promise<ArchiveEntry | undefined> {
    const proven = await this.provenSet(set);
    const above = rootAbove([...proven.roots], path);
    const root = proven.roots.find((one) => one.root === above?.root.root);
    if (above === undefined || root === undefined) return undefined;
    let entry = await this.sealed.find(root.sealedPath, set);
    // Asked for once more than the proof of the set did: it must be the same one.
    if (proven.isSealed && !sealIn(entry?.attributes).equals(root.seal)) {
      throw new TardisError('NOT_AUTHENTIC', `a root is not as set ${set} had it`);
    }
    if (entry !== undefined) this.open([entry], new SealSum());
    if (entry?.childId !== undefined) this.places.add(set, entry.childId, root.place);
    for (const name of above.rest) {
      if (entry?.childId === undefined) return undefined;
      entry = await this.entryIn(entry.childId, set, name);
    }
    return entry;
  }

  private async entryIn(
    directory: number,
    set: number,
    name: Buffer,
  ): Promise<ArchiveEntry | undefined> {
    const page = { directory, set, after: NOTHING, limit: PAGE_ENTRIES, withDigests: true };
    const { entries } = await this.prove(page);
    if (entries !== undefined) return entries.find((entry) => entry.name.equals(name));
    // Too many to be kept: each page is compared with what was proven of it.
    for (let after: Buffer = NOTHING; ; ) {
      const found = await this.listProven({ ...page, after });
      const entry = found.find((one) => one.name.equals(name));
      if (entry !== undefined || found.length < PAGE_ENTRIES) return entry;
      after = found.at(-1)!.name;
    }
  }

  /** Each is proven to be an entry of this client; in which sets it was, only the sets themselves prove. */
  async versions(path: Buffer): Promise<PathVersion[]> {
    await this.proven.checkMemory();
    const versions = await this.sealed.versions(this.keyring.names.path(path));
    // One entry may have been there several times.
    this.open([...new Set(versions.map(({ entry }) => entry))], new SealSum());
    const name = splitPath(path).at(-1) ?? NOTHING;
    for (const { entry } of versions) {
      if (entry.directory !== ROOTS_DIRECTORY && !entry.name.equals(name)) {
        throw new TardisError('NOT_AUTHENTIC', 'a version is one of another name');
      }
    }
    return versions;
  }

  async list(page: ListingPage): Promise<ArchiveEntry[]> {
    const { entries } = await this.prove(page);
    if (entries === undefined) return this.listProven(page);
    const { after, limit } = page;
    if (after.length === 0) return entries.slice(0, limit);
    const from = entries.findIndex(({ name }) => Buffer.compare(name, after) > 0);
    return from < 0 ? [] : entries.slice(from, from + limit);
  }

  /** The whole listing of a directory, compared with its seal. Throws NOT_AUTHENTIC. */
  private async prove({ directory, set, limit, withDigests }: ListingPage): Promise<Listed> {
    const places = this.places.of(set, directory);
    const key = this.listingKey({ directory, set, limit, withDigests });
    const known = this.listed.get(key);
    if (known !== undefined) return known;
    const sum = new SealSum();
    const pages = new Map<string, Buffer>();
    const entries: ArchiveEntry[] = [];
    let isTooMuch = false;
    for (let after: Buffer = NOTHING; ; ) {
      const page = { directory, set, after, limit, withDigests };
      const found = await this.sealed.list(page);
      const before = Buffer.from(sum.bytes);
      const last = found.at(-1)?.name;
      this.placeBelow(set, places, found);
      this.open(found, sum);
      pages.set(after.toString('latin1'), differenceOf(sum.bytes, before));
      if (!isTooMuch) entries.push(...found);
      isTooMuch ||= entries.length > MAX_SORTED_ENTRIES;
      if (isTooMuch) entries.length = 0;
      if (last === undefined || found.length < limit) break;
      after = last; // sealed
    }
    await this.checkListing(set, places, sum);
    entries.sort((one, other) => Buffer.compare(one.name, other.name));
    const listed = { entries: isTooMuch ? undefined : entries, pages };
    const [oldest] = this.listed.keys();
    if (this.listed.size >= MAX_LISTED) this.listed.delete(oldest!);
    this.listed.set(key, listed);
    return listed;
  }

  private async checkListing(set: number, places: readonly Buffer[], sum: SealSum): Promise<void> {
    const proven = await this.provenSet(set);
    if (!proven.isSealed) return;
    const listing = this.keyring.tree.listing(sum);
    let isProven = false;
    for (const place of places) {
      const expected = proven.listingAt(place);
      if (expected === undefined || expected.equals(PARTIAL)) continue;
      if (!listing.equals(expected)) {
        throw new TardisError('NOT_AUTHENTIC', `a directory is not as set ${set} had it`);
      }
      isProven = true;
    }
    if (!isProven) this.unprovenDirectories += 1;
  }

  /** A page of a directory with very many entries, which was proven before, in the order of the store. */
  private async listProven(page: ListingPage): Promise<ArchiveEntry[]> {
    const after = page.after.length === 0 ? NOTHING : this.keyring.names.name(page.after);
    const found = await this.sealed.list({ ...page, after });
    const sum = new SealSum();
    this.open(found, sum);
    const { pages } = this.listed.get(this.listingKey(page)) ?? { pages: undefined };
    if (pages?.get(after.toString('latin1'))?.equals(sum.bytes) !== true) {
      throw new TardisError('NOT_AUTHENTIC', 'a listing is another one than it was a moment ago');
    }
    return found;
  }

  private placeBelow(
    set: number,
    places: readonly Buffer[],
    sealed: readonly ArchiveEntry[],
  ): void {
    for (const { childId, name } of sealed) {
      if (childId === undefined) continue;
      for (const place of places) {
        this.places.add(set, childId, this.keyring.tree.place(place, name));
      }
    }
  }

  /** A listing that was proven for one place is not yet for another. */
  private listingKey({ directory, set, limit, withDigests }: Omit<ListingPage, 'after'>): string {
    const count = this.places.of(set, directory).length;
    return `${set}/${directory}/${limit}/${withDigests}/${count}`;
  }

  private async provenSet(set: number): Promise<ProvenSet> {
    const proven = await this.proven.of(set);
    if (!proven.isSealed) this.unsealedSets.add(set);
    return proven;
  }

  private open(entries: readonly ArchiveEntry[], sum: SealSum): void {
    this.opener.open(entries, sum);
  }

  findContents(prefix: Buffer, limit: number): Promise<FoundContent[]> {
    return this.sealed.findContents(prefix, limit);
  }

  /** What is there must be what the entry says, which is sealed. */
  async locate(contents: readonly WantedContent[]): Promise<ContentLocation[]> {
    const locations = await this.sealed.locate(contents);
    return locations.map((pieces, index) => {
      if (pieces === undefined) return undefined;
      const wanted = contents[index]!;
      const [first] = pieces;
      if (pieces.length === 1 && this.isWanted(wanted, first!.digest)) return pieces;
      const parts = pieces.map(({ digest, sizeBytes }) => ({
        digest: Buffer.from(digest),
        sizeBytes,
      }));
      const whole = contentDigest(this.native, this.contentKeys, partsDigest(parts));
      if (this.isWanted(wanted, whole)) return pieces;
      throw otherContent();
    });
  }

  /** Whether a content is the one that is looked for, by its entry or by its digest alone. */
  private isWanted({ proof, metadata, digest }: WantedContent, found: Uint8Array): boolean {
    if (proof === undefined || metadata === undefined) return digest?.equals(found) === true;
    return this.opener.isProven(proof, metadata, found);
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

/** What was added to a sum, as a number of 256 bits. */
function differenceOf(sum: Buffer, before: Buffer): Buffer {
  const difference = Buffer.alloc(sum.length);
  let borrow = 0;
  for (let at = 0; at < sum.length; at += 1) {
    const value = sum[at]! - before[at]! - borrow;
    borrow = value < 0 ? 1 : 0;
    difference[at] = value & 0xff;
  }
  return difference;
}
