/**
 * The history of an encrypting client, for a reader that has its keys. Requests are sealed. Answers are opened, and
 * rejected unless this client sealed them for this set and place. Listings that are not very large are sorted here,
 * since a store sorts by the sealed names.
 */
import {
  type Keyring,
  type NameSealer,
  openConfig,
  SEALED_TEXT,
  sealedRun,
  SealSum,
} from '../../crypto/index.js';
import { TardisError, unlessBug } from '../../errors/index.js';
import { explainedHistory } from '../explained-history.js';
import type {
  ContentLocation,
  FoundContent,
  History,
  HistoryEntry,
  PathVersion,
  RequestedContent,
  SetSeals,
} from '../history.js';
import { Access } from '../local/access.js';
import { rootAbove } from '../local/roots.js';
import { setAt, setNamed } from '../local/sets.js';
import {
  type ClientConfig,
  type ContentKeys,
  type DirectoryId,
  lowerAscii,
  mappedMarks,
  NO_BYTES,
  NO_SEAL,
  type RunRecord,
  sealIn,
  type SetNumber,
  splitPath,
} from '../../model/index.js';
import type { ChangesFound, ChangesPage, NamedPage, NamesFound, Reports } from '../reports.js';
import {
  type BackupSet,
  type ListingPage,
  type NamedVersion,
  type PackedPages,
  ROOTS_DIRECTORY,
} from '../../store/catalog/index.js';
import type {
  ClientDirectory,
  ObjectReader,
  OwnerRecord,
  RootRecord,
  SetNote,
} from '../../store/index.js';
import { BoundedCache, type NativeCalls } from '../../system/index.js';
import { provenLocations } from './content-proofs.js';
import { DirectoryPlaces } from './directory-places.js';
import { type DoubtedEntry, settleDoubts } from './doubted-entries.js';
import { EntryOpener } from './entry-opener.js';
import { FOUND_DIRECTORY, LostPlaces } from './lost-places.js';
import { MAX_SORTED_ENTRIES, OpenedPages } from './opened-pages.js';
import { type ProvenSet, ProvenSets } from './proven-sets.js';
import { differenceOf, UnprovenCounts } from './unproven.js';

const PAGE_ENTRIES = 2048;
/** Seal of a listing that could not be read completely. Each of its entries is proven only by its own seal. */
const PARTIAL = NO_SEAL;

/** Maximum number of proven listings that are kept, since the next page is usually from one of them. */
const MAX_LISTED = 4;

interface Listed {
  /** Entries of a proven listing, sorted by name; undefined if there are too many. */
  readonly entries: readonly HistoryEntry[] | undefined;
  /** Checksum of the entries of each page, in their order; the key is the last sealed name before the page. */
  readonly pages: ReadonlyMap<string, Buffer>;
}

/** Returns a history that opens the results of `sealed`, and takes ownership of `sealed`. */
export function unsealedHistory(sealed: History, keyring: Keyring, native: NativeCalls): History {
  const history = new UnsealedHistory(sealed, keyring, native);
  return explainedHistory(history, (error) => sealed.explain?.(error) ?? error);
}

class UnsealedHistory implements History {
  readonly client: string;
  readonly isRemote: boolean;
  readonly directory: ClientDirectory | undefined;
  readonly contentKeys: ContentKeys;
  readonly reports: Reports;
  /** Access to everything, since the reader has the keys. */
  readonly access = new Access(undefined);
  private readonly listed = new BoundedCache<string, Listed>(MAX_LISTED);
  private readonly places = new DirectoryPlaces();
  private readonly pages: OpenedPages;
  private readonly counts = new UnprovenCounts();
  private readonly opener: EntryOpener;
  private readonly proven: ProvenSets;
  private readonly lost: LostPlaces;

  constructor(
    private readonly sealed: History,
    private readonly keyring: Keyring,
    private readonly native: NativeCalls,
  ) {
    this.client = sealed.client;
    this.isRemote = sealed.isRemote;
    this.directory = sealed.directory;
    this.contentKeys = keyring.contents;
    this.proven = new ProvenSets(sealed, keyring);
    this.lost = new LostPlaces(sealed);
    this.opener = new EntryOpener(keyring, native);
    this.pages = new OpenedPages(sealed, keyring, this.places);
    this.reports = unsealedReports(sealed.reports, keyring, this.opener);
  }

  get fetchedBytes(): number {
    return this.sealed.fetchedBytes;
  }

  get doubts(): readonly string[] {
    return this.counts.doubts([...this.proven.doubts, ...this.lost.doubts]);
  }

  get hasUnproven(): boolean {
    const unproven =
      this.counts.unsealedSets.size + this.counts.directories + this.counts.damagedVersions;
    return unproven + this.lost.doubts.size > 0;
  }

  acceptUnproven(): void {
    this.proven.acceptsUnproven = true;
  }

  acceptOlder(report: (what: string) => void): void {
    this.proven.reportOlder = report;
  }

  get isOlder(): boolean {
    return this.proven.isOlder;
  }

  async sets(): Promise<BackupSet[]> {
    await this.proven.checkMemory();
    const sets = await this.sealed.sets();
    return sets.map((set) => openedSet(set, this.keyring.names));
  }

  async findSet(text: string | undefined): Promise<BackupSet> {
    return setNamed(this.client, await this.sets(), text);
  }

  /** Finds a set by its time. The set after it is proven too, so that no set can be skipped by a wrong time. */
  async findSetAt(momentMs: number): Promise<BackupSet> {
    const sets = await this.sets();
    const chosen = setAt(this.client, sets, momentMs);
    const next = sets.find(({ set, state }) => state === 'complete' && set > chosen.set);
    if (next !== undefined) await this.provenSet(next.set);
    return chosen;
  }

  async roots(set: SetNumber): Promise<RootRecord[]> {
    const { roots } = await this.provenSet(set);
    return [...roots].sort((one, other) => Buffer.compare(one.path, other.path));
  }

  seals(set: SetNumber, after: DirectoryId, limit: number): Promise<SetSeals> {
    return this.sealed.seals(set, after, limit);
  }

  async notes(set: SetNumber): Promise<SetNote[]> {
    const notes = await this.sealed.notes(set);
    return notes.map((note) => openedNote(note, this.keyring.names));
  }

  async owners(set: SetNumber): Promise<OwnerRecord[]> {
    const { names } = this.keyring;
    const owners = await this.sealed.owners(set);
    return owners.map((owner) => ({ ...owner, name: names.openOwner(owner) }));
  }

  /** Finds the entry in proven listings. Throws NOT_AUTHENTIC if a root is another one, or the `damage` of an entry. */
  async find(path: Buffer, set: SetNumber): Promise<HistoryEntry | undefined> {
    const proven = await this.provenSet(set);
    const above = rootAbove([...proven.roots], path);
    const root = proven.roots.find((one) => one.root === above?.root.root);
    if (above === undefined || root === undefined) return undefined;
    let entry = await this.sealed.find(root.sealedPath, set);
    // The proof of the set read this entry before: it must be the same one.
    if (proven.isSealed && !sealIn(entry?.attributes).equals(root.seal)) {
      throw new TardisError('NOT_AUTHENTIC', `a root is not as set ${set} had it`);
    }
    if (entry !== undefined) this.opener.open([entry], new SealSum());
    else entry = await this.lost.rootEntry(set, root, this.proven.acceptsUnproven);
    if (entry?.childId !== undefined) this.places.add(set, entry.childId, root.place);
    for (const name of above.rest) {
      if (entry?.childId === undefined) return undefined;
      entry = await this.entryIn(entry.childId, set, name);
      if (entry?.damage !== undefined) throw entry.damage;
    }
    return entry;
  }

  private async entryIn(
    directory: DirectoryId,
    set: SetNumber,
    name: Buffer,
  ): Promise<HistoryEntry | undefined> {
    const page = { directory, set, after: NO_BYTES, limit: PAGE_ENTRIES, withDigests: true };
    const { entries, pages } = await this.prove(page);
    if (entries !== undefined) return entries.find((entry) => entry.name.equals(name));
    // The listing is too large to keep, so only the page that may have the name is compared with its proof.
    const after = startOfPage(pages, this.orderOf(name));
    const found = await this.provenPage({ ...page, after }, pages);
    return found.find((one) => one.name.equals(name));
  }

  readonly orderOf = (name: Buffer): Buffer => this.keyring.names.name(name);

  /**
   * Returns the versions that this client sealed under this name; counts damaged versions, and leaves them out. Throws
   * NOT_AUTHENTIC if the store returns a version of another name. The sets that had a version are not proven here.
   */
  async versions(path: Buffer): Promise<PathVersion[]> {
    await this.proven.checkMemory();
    const versions = await this.sealed.versions(this.keyring.names.path(path));
    // One entry may have been at the path several times.
    const unique = [...new Set(versions.map(({ entry }) => entry))];
    const opened = [...unique];
    this.opener.openEach(opened, new SealSum());
    const sound = versions.flatMap((version) => {
      const entry = opened[unique.indexOf(version.entry)]!;
      return entry.damage === undefined ? [{ ...version, entry }] : [];
    });
    this.counts.damagedVersions += opened.filter(({ damage }) => damage !== undefined).length;
    const name = splitPath(path).at(-1) ?? NO_BYTES;
    for (const { entry } of sound) {
      if (entry.directory !== ROOTS_DIRECTORY && !entry.name.equals(name)) {
        throw new TardisError('NOT_AUTHENTIC', 'a version is one of another name');
      }
    }
    return sound;
  }

  async list(page: ListingPage): Promise<HistoryEntry[]> {
    const proven = await this.provenSet(page.set);
    const opened = this.proven.acceptsUnproven ? undefined : this.pages.entries(proven, page);
    if (opened !== undefined) return opened;
    const { entries, pages } = await this.prove(page);
    if (entries === undefined) return this.listProven(page, pages);
    const { after, limit } = page;
    if (after.length === 0) return entries.slice(0, limit);
    const from = entries.findIndex(({ name }) => Buffer.compare(name, after) > 0);
    return from < 0 ? [] : entries.slice(from, from + limit);
  }

  /** Returns pages of a set that was proven before; undefined if `list` must be called instead. */
  listPacked(pages: PackedPages): Buffer | undefined {
    const proven = this.proven.acceptsUnproven ? undefined : this.proven.provenBefore(pages.set);
    return proven && this.pages.list(proven, pages);
  }

  isLarge(directory: DirectoryId, set: SetNumber): boolean {
    return this.pages.isLarge(set, directory);
  }

  isDamaged: NonNullable<History['isDamaged']> = (id) => this.sealed.isDamaged?.(id) === true;

  /** Returns a whole listing. Throws NOT_AUTHENTIC if its seal does not match and unproven sets are not accepted. */
  private async prove({ directory, set, limit, withDigests }: ListingPage): Promise<Listed> {
    const proven = await this.provenSet(set);
    const places = this.places.of(set, directory);
    const key = listingKey({ directory, set, limit, withDigests }, proven, places);
    const known = this.listed.get(key);
    if (known !== undefined) return known;
    if (directory === FOUND_DIRECTORY) {
      return { entries: await this.lost.entries(set, proven.roots), pages: new Map() };
    }
    const sum = new SealSum();
    const pages = new Map<string, Buffer>();
    const entries: HistoryEntry[] = [];
    const doubted: DoubtedEntry[] = [];
    let isTooMuch = false;
    for (let after: Buffer = NO_BYTES; ; ) {
      const page = { directory, set, after, limit, withDigests };
      const found = await this.sealed.list(page);
      const before = Buffer.from(sum.bytes);
      const last = found.at(-1)?.name;
      this.placeBelow(set, places, found);
      doubted.push(...this.opener.openEach(found, sum));
      pages.set(after.toString('latin1'), differenceOf(sum.bytes, before));
      if (!isTooMuch) entries.push(...found);
      isTooMuch ||= entries.length > MAX_SORTED_ENTRIES;
      if (isTooMuch) entries.length = 0;
      if (last === undefined || found.length < limit) break;
      after = last; // the sealed name
    }
    for (const right of this.checkListing(proven, places, sum, doubted)) {
      this.mend(entries, right);
    }
    if (directory === proven.roots[0]?.directory && !isTooMuch)
      await this.addFound(proven, entries);
    entries.sort((one, other) => Buffer.compare(one.name, other.name));
    const listed = { entries: isTooMuch ? undefined : entries, pages };
    this.listed.set(key, listed);
    return listed;
  }

  /** Returns the doubted entries that the listing's seal proves right. Throws NOT_AUTHENTIC in the cases of `prove`. */
  private checkListing(
    proven: ProvenSet,
    places: readonly Buffer[],
    sum: SealSum,
    doubted: readonly DoubtedEntry[],
  ): Iterable<DoubtedEntry> {
    if (!proven.isSealed) return [];
    let right: Iterable<DoubtedEntry> = [];
    let isProven = false;
    for (const place of places) {
      const expected = proven.listingAt(place);
      if (expected === undefined || expected.equals(PARTIAL)) continue;
      const isListing = (all: SealSum): boolean => this.keyring.tree.listing(all).equals(expected);
      const settled = settleDoubts(doubted, sum, isListing, this.keyring);
      if (settled === undefined) {
        this.proven.doubt(`a directory is not as set ${proven.set} had it`);
        return [];
      }
      right = settled;
      isProven = true;
    }
    if (!isProven) this.counts.directories += 1;
    return right;
  }

  /** Adds the directory of lost directories to the entries, if sets without proof as a whole are accepted. */
  private async addFound(proven: ProvenSet, entries: HistoryEntry[]): Promise<void> {
    if (!this.proven.acceptsUnproven || !(proven.isSealed || proven.isBroken)) return;
    entries.push(...(await this.lost.foundEntry(proven.set, proven.roots, entries)));
  }

  /** Replaces a stand-in by its entry, if only the seal of the entry was damaged. */
  private mend(entries: HistoryEntry[], { shown, mended }: DoubtedEntry): void {
    const index = entries.indexOf(shown);
    if (index < 0 || mended === undefined) return;
    this.opener.open([mended.entry], new SealSum());
    entries[index] = mended.entry;
  }

  /** Returns a page of a very large directory that was proven before, in the order of the store. */
  private listProven(page: ListingPage, pages: Listed['pages']): Promise<HistoryEntry[]> {
    const after = page.after.length === 0 ? NO_BYTES : this.orderOf(page.after);
    return this.provenPage({ ...page, after }, pages);
  }

  /** Returns a page after a sealed name. Throws NOT_AUTHENTIC if it differs from the page that was proven. */
  private async provenPage(page: ListingPage, pages: Listed['pages']): Promise<HistoryEntry[]> {
    const found = await this.sealed.list(page);
    const sum = new SealSum();
    this.opener.openEach(found, sum);
    if (pages.get(page.after.toString('latin1'))?.equals(sum.bytes) !== true) {
      throw new TardisError('NOT_AUTHENTIC', 'a listing is another one than it was a moment ago');
    }
    return found;
  }

  private placeBelow(
    set: SetNumber,
    places: readonly Buffer[],
    sealed: readonly HistoryEntry[],
  ): void {
    for (const { childId, name } of sealed) {
      if (childId === undefined) continue;
      for (const place of places) {
        this.places.add(set, childId, this.keyring.tree.place(place, name));
      }
    }
  }

  private async provenSet(set: SetNumber): Promise<ProvenSet> {
    const proven = await this.proven.of(set);
    if (!proven.isSealed && !proven.isBroken) this.counts.unsealedSets.add(set);
    return proven;
  }

  findContents(prefix: Buffer, limit: number): Promise<FoundContent[]> {
    return this.sealed.findContents(prefix, limit);
  }

  async locate(contents: readonly RequestedContent[]): Promise<ContentLocation[]> {
    const locations = await this.sealed.locate(contents);
    const proof = { opener: this.opener, keys: this.contentKeys, native: this.native };
    return provenLocations(proof, contents, locations);
  }

  objects(): ObjectReader {
    return this.sealed.objects();
  }

  /** Returns undefined: a server cannot compare contents that it cannot read. */
  deltas(): undefined {
    return undefined;
  }

  whileWriting<T>(work: () => Promise<T>): Promise<T> {
    return this.sealed.whileWriting?.(work) ?? work();
  }

  close(): void {
    this.sealed.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Returns the key of a listing. A listing that was proven without a seal, or for fewer places of its directory, gets
 * another key, so that it is proven again.
 */
function listingKey(
  { directory, set, limit, withDigests }: Omit<ListingPage, 'after'>,
  { isSealed }: ProvenSet,
  places: readonly Buffer[],
): string {
  return `${set}/${directory}/${limit}/${withDigests}/${places.length}/${isSealed}`;
}

/** Returns the sealed name after which the page begins that can contain `sealedName`; empty for the first page. */
function startOfPage(pages: Listed['pages'], sealedName: Buffer): Buffer {
  let start = '';
  for (const after of pages.keys()) {
    if (Buffer.compare(Buffer.from(after, 'latin1'), sealedName) < 0) start = after;
  }
  return Buffer.from(start, 'latin1');
}

/** Returns a set with its names and marks in plain text. */
function openedSet(set: BackupSet, names: NameSealer): BackupSet {
  return {
    ...set,
    name: names.openText(set.name),
    firstName: names.openText(set.firstName),
    marks: mappedMarks(set.marks, (text) => names.openText(text)),
    isSealed: set.state === 'complete', // a server could leave out the seal, to have its own clock believed
  };
}

/** Returns a note with its name and its reason in plain text. Paths of roots are not sealed. */
function openedNote(note: SetNote, names: NameSealer): SetNote {
  return {
    ...note,
    name: note.directory === ROOTS_DIRECTORY ? note.name : names.openName(note.name),
    reason: names.openText(note.reason),
  };
}

/** Reports without sealed names or texts, which are passed on as they are. Each one that is not named here must be opened. */
type PassedOn =
  | 'ownState'
  | 'attributeUse'
  | 'freedBy'
  | 'sizes'
  | 'settings'
  | 'figures'
  | 'store';

/**
 * Returns the reports of an encrypting client, for a reader that has its keys. Results are opened, and rejected if this
 * client did not seal them. Reports are not proven to be complete; listing or restoring a set proves that.
 */
function unsealedReports(sealed: Reports, keyring: Keyring, opener: EntryOpener): Reports {
  const { names } = keyring;
  const opening: Required<Omit<Reports, PassedOn>> = {
    async rootsOfSets(): Promise<ReadonlyMap<SetNumber, readonly Buffer[]>> {
      const opened = new Map<string, Buffer>(); // most roots are the same in every set
      const open = (path: Buffer): Buffer => {
        const key = path.toString('latin1');
        const known = opened.get(key) ?? names.openPath(path);
        opened.set(key, known);
        return known;
      };
      const roots = await sealed.rootsOfSets();
      return new Map([...roots].map(([set, paths]) => [set, paths.map(open)]));
    },

    /**
     * Returns a page of changes sorted by opened name. The place after which the next page begins is in the order of the
     * store.
     */
    async changes(page: ChangesPage): Promise<ChangesFound> {
      const { entries, next } = await sealed.changes(page);
      opener.open(entries, new SealSum());
      const inOrder = entries.toSorted(
        (one, other) => one.directory - other.directory || Buffer.compare(one.name, other.name),
      );
      return { entries: inOrder, next };
    },

    /** Requests all names and filters them here, since a store cannot match sealed names. Leaves out roots. */
    async named({ after, literal, isMatch }: NamedPage): Promise<NamesFound> {
      const all = { after, literal: NO_BYTES, isMatch: () => true };
      const wanted = lowerAscii(literal);
      const { versions, next } = await sealed.named(all);
      const found: NamedVersion[] = [];
      for (const version of versions) {
        if (version.directory === ROOTS_DIRECTORY) continue;
        const name = names.openName(version.name);
        if (lowerAscii(name).includes(wanted) && isMatch(name)) found.push({ ...version, name });
      }
      return { versions: found, next };
    },

    async directoryPaths(
      set: SetNumber,
      directories: readonly DirectoryId[],
    ): Promise<(Buffer | undefined)[]> {
      const paths = await sealed.directoryPaths(set, directories);
      return paths.map((path) => path && names.openPath(path));
    },

    runs: async (most) => (await sealed.runs(most)).map((run) => openedRun(run, names)),

    noteRuns: (runs) => sealed.noteRuns(runs.map((run) => sealedRun(run, names))),

    /**
     * Returns the opened configuration; undefined if there is none. Throws NOT_AUTHENTIC if it is not sealed, and
     * therefore invented by the store.
     */
    async clientConfig(set: SetNumber): Promise<ClientConfig | undefined> {
      const config = await sealed.clientConfig(set);
      return config && openConfig(names, config);
    },
  };
  return Object.assign(Object.create(sealed) as Reports, opening);
}

/** Returns a record with its words opened; without them if they are not sealed by this client. */
function openedRun({ words, ...run }: RunRecord, names: NameSealer): RunRecord {
  const isSealed = words?.startsWith(SEALED_TEXT) === true;
  const text = isSealed ? unlessBug(() => names.openText(words)) : undefined;
  return { ...run, ...(text !== undefined && { words: text }) };
}
