/** The history of a store on this machine. Reading takes no lock and needs only read permission. */
import {
  Catalog,
  type BackupSet,
  type ListingPage,
  Locator,
  type PackedPages,
  ROOTS_DIRECTORY,
  damagedEntry,
} from '../../store/catalog/index.js';
import {
  catalogIdentity,
  type ClientDirectory,
  followOf,
  mediumOf,
  type ObjectReader,
  type OwnerRecord,
  openClientDirectory,
  type RootRecord,
  type SetNote,
} from '../../store/index.js';
import { asTardisError, TardisError } from '../../errors/index.js';
import { type DirectoryId, metadataFault, NO_CONTENT, type SetNumber } from '../../model/index.js';
import { yieldRegularly, type System } from '../../system/index.js';
import { Access } from './access.js';
import { explainedHistory } from '../explained-history.js';
import { FollowingReader } from './following-reader.js';
import { LocalReports } from './local-reports.js';
import type { Reports } from '../reports.js';
import { PathFinder } from './path-finder.js';
import { type RootAbove, rootAbove } from './roots.js';
import { setAt, setNamed } from './sets.js';
import {
  type ContentLocation,
  type FoundContent,
  type History,
  type HistoryEntry,
  joinVersions,
  type PathVersion,
  type RequestedContent,
  type SetSeals,
} from '../history.js';

interface LocalHistoryOptions {
  readonly store: string;
  readonly client: string;
  readonly catalogFile?: string;
  /** The access rights of the reader; by default those of the user of this process. */
  readonly access?: Access;
}

/** Opens a client for reading. Throws NO_SUCH_STORE, NO_SUCH_CLIENT, and the errors of opening its catalog. */
export function openLocalHistory(system: System, options: LocalHistoryOptions): History {
  const directory = openClientDirectory(system, options);
  return openHistoryIn(system, directory, options.access ?? Access.ofThisProcess());
}

/**
 * Opens a client in a directory. Throws the errors of opening its catalog. Calls within `sliceMs` milliseconds share
 * one read transaction. With 0 there is no read transaction, for a caller that shares its thread with a writer.
 */
export function openHistoryIn(
  system: System,
  directory: ClientDirectory,
  access: Access,
  sliceMs = READING_SLICE_MS,
): History {
  const home = homeOf(system, directory); // first: an exchange meanwhile must be noticed
  const opened = catalogIdentity(system.files, directory);
  const catalog = Catalog.openForReading(system, directory.catalogPath);
  try {
    const history = new LocalHistory(system, directory, { catalog, access, sliceMs, home, opened });
    return explainedHistory(history, (error) => history.explain(error));
  } catch (error) {
    catalog.close();
    throw error;
  }
}

/** A root, and the names of a path below it. */
interface RootEver extends RootAbove {
  /**
   * The sets that show the path by this root. A run ends where another root shows it, and passes over sets without a
   * root at or above the path. Runs and their sets are sorted, oldest first.
   */
  readonly runs: SetNumber[][];
}

/** Returns a version limited to a run of sets that show it by its root; undefined if none of them does. */
function withinRun(
  { entry, firstSet, lastSet }: PathVersion,
  sets: readonly SetNumber[],
  newest: SetNumber | undefined,
): PathVersion | undefined {
  const first = sets.find((set) => set >= firstSet);
  const last = sets.findLast((set) => set <= (lastSet ?? Infinity));
  if (first === undefined || last === undefined || last < first) return undefined;
  const isOpen = lastSet === undefined && last === newest;
  return { entry, firstSet: first, lastSet: isOpen ? undefined : last };
}

/** Id of a directory that was at the path in question, with the sets in which it was there. */
interface Reached {
  readonly directory: DirectoryId;
  readonly from: SetNumber;
  readonly to: SetNumber;
}

/** Returns the entry, or a stand-in if its row is damaged. */
function soundOrDamaged(entry: HistoryEntry): HistoryEntry {
  const fault = metadataFault(entry.metadata);
  if (fault === undefined) return entry;
  const what = `its row in the catalog (entries.metadata) ${fault}`;
  return damagedEntry(entry, new TardisError('CATALOG_DAMAGED', what));
}

/** Duration of a read transaction, which all calls within this time share. */
const READING_SLICE_MS = 20;
/** The work that fails if a directory cannot be read, for messages. */
const READING_DIRECTORY = 'reading a directory in the catalog';

/** Returns what identifies the directory of a client, which a rewrite replaces. */
function homeOf({ files }: System, { path }: ClientDirectory): string | undefined {
  return files.status(path)?.identity;
}

/** The catalog of a history, and what identifies the client's directory and its file. */
interface HistoryParts {
  readonly catalog: Catalog;
  readonly access: Access;
  readonly sliceMs: number;
  readonly home: string | undefined;
  readonly opened: string;
}

class LocalHistory implements History {
  readonly client: string;
  readonly isRemote: boolean;
  readonly fetchedBytes = 0;
  readonly contentKeys = undefined;
  readonly doubts = [];
  /** Directory of the client; undefined for a client in a bucket, whose records this thread reads for all jobs. */
  readonly directory: ClientDirectory | undefined;
  readonly access: Access;
  readonly reports: Reports;
  private sliceEndsMs = 0;
  private sliceTimer: NodeJS.Timeout | undefined;
  private readonly locator = new Locator();
  private readonly finder: PathFinder;
  /** Reader of the records of a client in a bucket, open once: the data that it has fetched serves all readers. */
  private remoteRecords: ObjectReader | undefined;
  private readonly catalog: Catalog;
  private readonly place: ClientDirectory;
  private readonly sliceMs: number;
  private readonly home: string | undefined;
  /** Number of pieces of work in this thread that write to the store. */
  private writers = 0;

  constructor(
    private readonly system: System,
    directory: ClientDirectory,
    parts: HistoryParts,
  ) {
    const { catalog, access, sliceMs, home, opened } = parts;
    this.sliceMs = sliceMs;
    this.home = home;
    this.access = access;
    this.client = directory.client;
    this.place = directory;
    this.isRemote = directory.bucket !== undefined;
    this.directory = this.isRemote ? undefined : directory;
    this.catalog = catalog;
    this.finder = new PathFinder(catalog, access);
    const remote = this.isRemote ? () => mediumOf(system, directory).records() : undefined;
    this.reports = new LocalReports(() => this.reading(), {
      system,
      directory,
      access,
      remote,
      opened,
    });
  }

  async whileWriting<T>(work: () => Promise<T>): Promise<T> {
    this.writers += 1;
    this.endSlice();
    try {
      return await work();
    } finally {
      this.writers -= 1;
    }
  }

  /**
   * Returns the catalog, inside a read transaction of one slice at most. There is no transaction if `sliceMs` is 0, or
   * while this thread writes.
   */
  private reading(): Catalog {
    if (this.sliceMs === 0 || this.writers > 0) {
      this.finder.forget();
      return this.catalog;
    }
    const nowMs = performance.now();
    if (nowMs >= this.sliceEndsMs) {
      this.finder.forget();
      this.catalog.endReading();
      this.catalog.beginReading();
      this.sliceEndsMs = nowMs + this.sliceMs;
      clearTimeout(this.sliceTimer);
      this.sliceTimer = setTimeout(() => {
        try {
          this.endSlice();
        } catch {
          return; // the next call fails in the same way and reports it
        }
      }, this.sliceMs);
    }
    return this.catalog;
  }

  private endSlice(): void {
    this.sliceEndsMs = 0;
    this.catalog.endReading();
  }

  explain(error: unknown): unknown {
    return this.catalog.explained(error);
  }

  async sets(): Promise<BackupSet[]> {
    return this.catalog.sets.listed();
  }

  async findSet(text: string | undefined): Promise<BackupSet> {
    return setNamed(this.client, this.catalog.sets.listed(), text);
  }

  async findSetAt(momentMs: number): Promise<BackupSet> {
    return setAt(this.client, this.catalog.sets.listed(), momentMs);
  }

  async roots(set: SetNumber): Promise<RootRecord[]> {
    return this.catalog.sets.rootsOf(set);
  }

  async seals(set: SetNumber, after: DirectoryId, limit: number): Promise<SetSeals> {
    const { seals } = this.reading();
    return { directories: seals.asOf(set, after, limit), setSeal: seals.ofSet(set) };
  }

  async notes(set: SetNumber): Promise<SetNote[]> {
    return this.catalog.sets.notesOf(set);
  }

  async owners(set: SetNumber): Promise<OwnerRecord[]> {
    return this.catalog.owners.asOf(set);
  }

  async find(path: Buffer, set: SetNumber): Promise<HistoryEntry | undefined> {
    this.reading();
    const entry = this.finder.find(path, set);
    if (entry === undefined) return undefined;
    const { damage } = soundOrDamaged(entry);
    if (damage !== undefined) throw damage;
    return this.shown(entry);
  }

  async list(page: ListingPage): Promise<HistoryEntry[]> {
    const found = await this.listed(page).catch((error: unknown) => {
      throw asTardisError(error, READING_DIRECTORY);
    });
    const entries = found.map(soundOrDamaged);
    return this.access.isUnrestricted ? entries : entries.map((entry) => this.shown(entry));
  }

  listPacked(pages: PackedPages): Buffer | undefined {
    if (!this.access.isUnrestricted) return undefined;
    try {
      return this.reading().entries.packedAsOf(pages);
    } catch (error) {
      throw asTardisError(error, READING_DIRECTORY);
    }
  }

  private async listed(page: ListingPage): Promise<HistoryEntry[]> {
    return page.unlike === undefined
      ? this.reading().entries.listAsOf(page)
      : this.listUnlike(page, page.unlike);
  }

  /** Lists the entries that differ from another set, in slices, since a large directory may have very few of them. */
  private async listUnlike(page: ListingPage, unlike: SetNumber): Promise<HistoryEntry[]> {
    const found: HistoryEntry[] = [];
    const breathe = yieldRegularly();
    for (let { after } = page; ; ) {
      const rest = { ...page, after, limit: page.limit - found.length };
      const { entries, upTo } = this.reading().differing.list(rest, unlike);
      found.push(...entries);
      if (upTo === undefined || found.length >= page.limit) return found;
      after = upTo;
      await breathe();
    }
  }

  /**
   * Returns the entry without digest and attributes if the reader may not read it. A digest reveals as much as the
   * content, since it shows whether two files are equal. Attributes may reveal as much.
   */
  private shown(entry: HistoryEntry): HistoryEntry {
    if (this.access.mayRead(entry)) return entry;
    const hidden = { value: undefined };
    return Object.create(entry, { digest: hidden, attributes: hidden }) as HistoryEntry;
  }

  isDamaged: NonNullable<History['isDamaged']> = (id) => this.reading().contents.isDamaged(id);

  async findContents(prefix: Buffer, limit: number): Promise<FoundContent[]> {
    return this.reading().contents.findByPrefix(prefix, limit);
  }

  async versions(path: Buffer): Promise<PathVersion[]> {
    const listed = this.catalog.sets.listed().map(({ set }) => set);
    const newest = listed.at(-1);
    const found = this.rootsEver(path, listed).flatMap((root) =>
      this.versionsBelow(root).flatMap((version) =>
        root.runs.flatMap((sets) => withinRun(version, sets, newest) ?? []),
      ),
    );
    return found.sort((one, other) => one.firstSet - other.firstSet);
  }

  /** Returns the versions of a path below a root, oldest first, in all sets that the entries name. */
  private versionsBelow({ root, rest }: RootEver): PathVersion[] {
    let reached: Reached[] = [{ directory: ROOTS_DIRECTORY, from: 1, to: Infinity }];
    let matches: PathVersion[] = [];
    for (const component of [Buffer.from(String(root.root)), ...rest]) {
      matches = reached.flatMap((place) => this.versionsAt(place, component));
      reached = matches.flatMap(({ entry, firstSet, lastSet }) =>
        entry.childId === undefined || !this.access.maySearch(entry)
          ? []
          : [{ directory: entry.childId, from: firstSet, to: lastSet ?? Infinity }],
      );
    }
    // A change of a directory above splits one version in two.
    return joinVersions(
      matches.sort((one, other) => one.firstSet - other.firstSet),
      ({ entry }, next) =>
        entry.directory === next.entry.directory && entry.firstSet === next.entry.firstSet,
    );
  }

  private versionsAt(place: Reached, name: Buffer): PathVersion[] {
    const versions: PathVersion[] = [];
    for (const entry of this.catalog.entries.versions(place.directory, name)) {
      const from = Math.max(place.from, entry.firstSet);
      const to = Math.min(place.to, entry.lastSet ?? Infinity);
      if (from > to) continue;
      const lastSet = to === Infinity ? undefined : to;
      versions.push({ entry: this.shown(entry), firstSet: from, lastSet });
    }
    return versions;
  }

  /** Returns the roots by which the listed sets show a path: in each set the deepest one at or above the path. */
  private rootsEver(path: Buffer, listed: readonly SetNumber[]): RootEver[] {
    const above = new Map<string, RootAbove | undefined>(); // most sets have the same roots
    const seen = new Map<RootRecord['root'], RootEver>();
    let last: RootEver | undefined;
    for (const set of listed) {
      const roots = this.catalog.sets.rootsOf(set);
      const key = roots.map(({ root }) => root).join();
      if (!above.has(key)) above.set(key, rootAbove(roots, path));
      const found = above.get(key);
      if (found === undefined) continue;
      const ever = seen.get(found.root.root) ?? { ...found, runs: [] };
      seen.set(found.root.root, ever);
      if (ever === last) ever.runs.at(-1)!.push(set);
      else ever.runs.push([set]);
      last = ever;
    }
    return [...seen.values()];
  }

  async locate(contents: readonly RequestedContent[]): Promise<ContentLocation[]> {
    this.requirePresent();
    const ids = contents.map(({ contentId = NO_CONTENT }) => contentId);
    return this.locator.locateAll(() => this.reading().contents, ids);
  }

  /** Throws CLIENT_BUSY if a rewrite has replaced the client's directory, and with it all packs of this catalog. */
  private requirePresent(): void {
    const { system, place, isRemote, home } = this;
    if (isRemote || homeOf(system, place) === home) return;
    const what = `the client "${place.client}" was rewritten meanwhile`;
    throw new TardisError('CLIENT_BUSY', `${what}: run this again`);
  }

  deltas(): undefined {
    return undefined;
  }

  objects(): ObjectReader {
    const { bucket, client } = this.place;
    if (bucket === undefined) return mediumOf(this.system, this.place).records();
    const shared = (this.remoteRecords ??= mediumOf(this.system, this.place).records());
    const records: ObjectReader = {
      read: (...args) => shared.read(...args),
      expect: (ranges) => shared.expect?.(ranges),
      close: () => undefined,
    };
    const follow = followOf(bucket);
    if (follow === undefined) return records;
    return new FollowingReader(records, async () => {
      await follow(client);
      this.endSlice(); // the next call sees what the catalog has now
    });
  }

  close(): void {
    this.remoteRecords?.close();
    clearTimeout(this.sliceTimer);
    using _catalog = this.catalog; // closed in any case
    this.endSlice();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
