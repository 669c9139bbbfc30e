/** The archive over a store on this machine. Reading needs no lock and nothing but read permission. */
import {
  Catalog,
  type BackupSet,
  type ListingPage,
  Locator,
  ROOTS_DIRECTORY,
} from '../catalog/index.js';
import {
  type ClientDirectory,
  DirectoryBackend,
  type ObjectReader,
  type OwnerRecord,
  openClientDirectory,
  type RootRecord,
  type SetNote,
} from '../store/index.js';
import { breather, type Files, type System } from '../system/index.js';
import { Access, noAccess } from './access.js';
import { LocalReports } from './local-reports.js';
import type { Reports } from './reports.js';
import { restBelow, rootAbove } from './roots.js';
import { setAt, setNamed } from './sets.js';
import type {
  Archive,
  ArchiveEntry,
  ContentLocation,
  FoundContent,
  PathVersion,
  SetSeals,
  WantedContent,
} from './archive.js';

export interface LocalArchiveOptions {
  readonly store: string;
  readonly client: string;
  readonly catalogFile?: string;
  /** What may be seen; by default what the user of this process might have seen. */
  readonly access?: Access;
}

/** Opens a client for reading. Throws NO_SUCH_STORE, NO_SUCH_CLIENT, CATALOG_*. */
export function openLocalArchive(system: System, options: LocalArchiveOptions): Archive {
  const directory = openClientDirectory(system, options);
  return openArchiveIn(system, directory, options.access ?? Access.ofThisProcess());
}

/**
 * The same for a client's directory that was found already. Throws CATALOG_*. `sliceMs`: how long
 * questions share a reading transaction; 0, none does, for who shares his thread with a writer.
 */
export function openArchiveIn(
  system: System,
  directory: ClientDirectory,
  access: Access,
  sliceMs = READING_SLICE_MS,
): Archive {
  const catalog = Catalog.openForReading(system, directory.catalogPath);
  return new LocalArchive(system.files, directory, catalog, access, sliceMs);
}

/** A change of a directory above cuts a version in two that are one. */
function joinVersions(versions: PathVersion[], next: PathVersion): PathVersion[] {
  const last = versions.at(-1);
  const isSame =
    last !== undefined &&
    last.entry.directory === next.entry.directory &&
    last.entry.firstSet === next.entry.firstSet &&
    last.lastSet !== undefined &&
    last.lastSet + 1 >= next.firstSet;
  if (isSame) versions[versions.length - 1] = { ...last, lastSet: next.lastSet };
  else versions.push(next);
  return versions;
}

/** A directory id with the sets in which it was at the path in question. */
interface Reached {
  readonly directory: number;
  readonly from: number;
  readonly to: number;
}

/** Questions that follow each other within this time share a reading transaction. */
const READING_SLICE_MS = 20;

class LocalArchive implements Archive {
  readonly client: string;
  readonly isFar = false;
  readonly fetchedBytes = 0;
  readonly contentKeys = undefined;
  readonly doubts = [];
  readonly clientPath: string;
  readonly access: Access;
  readonly reports: Reports;
  private sliceEndsMs = 0;
  private sliceTimer: NodeJS.Timeout | undefined;
  private readonly locator = new Locator();
  private readonly catalog: Catalog;
  private readonly files: Files;

  private readonly sliceMs: number;

  constructor(
    files: Files,
    directory: ClientDirectory,
    catalog: Catalog,
    access: Access,
    sliceMs: number,
  ) {
    this.sliceMs = sliceMs;
    this.files = files;
    this.access = access;
    this.client = directory.client;
    this.clientPath = directory.path;
    this.catalog = catalog;
    this.reports = new LocalReports(() => this.reading(), directory, files, access);
  }

  /** The tables, inside a reading transaction that lasts a slice of time at most. */
  private reading(): Catalog {
    if (this.sliceMs === 0) return this.catalog;
    const nowMs = performance.now();
    if (nowMs >= this.sliceEndsMs) {
      this.catalog.endReading();
      this.catalog.beginReading();
      this.sliceEndsMs = nowMs + this.sliceMs;
      clearTimeout(this.sliceTimer);
      this.sliceTimer = setTimeout(() => {
        try {
          this.endSlice();
        } catch {
          return; // the next question meets the same failure, and tells it
        }
      }, this.sliceMs);
    }
    return this.catalog;
  }

  private endSlice(): void {
    this.sliceEndsMs = 0;
    this.catalog.endReading();
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

  async roots(set: number): Promise<RootRecord[]> {
    return this.catalog.sets.rootsOf(set);
  }

  async seals(set: number, after: number, limit: number): Promise<SetSeals> {
    const { seals } = this.reading();
    return { directories: seals.asOf(set, after, limit), setSeal: seals.ofSet(set) };
  }

  async notes(set: number): Promise<SetNote[]> {
    return this.catalog.sets.notesOf(set);
  }

  async owners(set: number): Promise<OwnerRecord[]> {
    return this.catalog.owners.asOf(set);
  }

  async find(path: Buffer, set: number): Promise<ArchiveEntry | undefined> {
    const start = rootAbove(this.catalog.sets.rootsOf(set), path);
    if (start === undefined) return undefined;
    const { entries } = this.reading();
    let entry = entries.findAsOf(ROOTS_DIRECTORY, Buffer.from(String(start.root.root)), set);
    for (const name of start.rest) {
      if (entry?.childId === undefined) return undefined;
      if (!this.access.maySearch(entry)) throw noAccess(path);
      entry = entries.findAsOf(entry.childId, name, set);
    }
    return entry === undefined ? undefined : this.shown(entry);
  }

  async list(page: ListingPage): Promise<ArchiveEntry[]> {
    const entries =
      page.unlike === undefined
        ? this.reading().entries.listAsOf(page)
        : await this.listUnlike(page, page.unlike);
    return this.access.isUnrestricted ? entries : entries.map((entry) => this.shown(entry));
  }

  /** In slices: of a large directory very few entries may differ. */
  private async listUnlike(page: ListingPage, unlike: number): Promise<ArchiveEntry[]> {
    const found: ArchiveEntry[] = [];
    const breathe = breather();
    for (let { after } = page; ; ) {
      const rest = { ...page, after, limit: page.limit - found.length };
      const { entries, upTo } = this.reading().differing.list(rest, unlike);
      found.push(...entries);
      if (upTo === undefined || found.length >= page.limit) return found;
      after = upTo;
      await breathe();
    }
  }

  /** A digest tells whether a file is the same as another: as much as its content. So may attributes. */
  private shown(entry: ArchiveEntry): ArchiveEntry {
    if (this.access.mayRead(entry)) return entry;
    const hidden = { value: undefined };
    return Object.create(entry, { digest: hidden, attributes: hidden }) as ArchiveEntry;
  }

  async findContents(prefix: Buffer, limit: number): Promise<FoundContent[]> {
    return this.reading().contents.findByPrefix(prefix, limit);
  }

  async versions(path: Buffer): Promise<PathVersion[]> {
    const found = new Map<string, PathVersion>();
    for (const root of this.rootsEver(path)) {
      const name = Buffer.from(String(root.root.root));
      let reached: Reached[] = [{ directory: ROOTS_DIRECTORY, from: 1, to: Infinity }];
      let matches: PathVersion[] = [];
      for (const component of [name, ...root.rest]) {
        matches = reached.flatMap((place) => this.versionsAt(place, component));
        reached = matches.flatMap(({ entry, firstSet, lastSet }) =>
          entry.childId === undefined || !this.access.maySearch(entry)
            ? []
            : [{ directory: entry.childId, from: firstSet, to: lastSet ?? Infinity }],
        );
      }
      for (const match of matches) {
        found.set(`${match.entry.directory}/${match.firstSet}`, match);
      }
    }
    const versions = [...found.values()].sort((a, b) => a.firstSet - b.firstSet);
    return versions.reduce<PathVersion[]>(joinVersions, []);
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

  /** Roots of any set at or above the path. */
  private rootsEver(path: Buffer): { root: RootRecord; rest: Buffer[] }[] {
    const seen = new Map<number, RootRecord>();
    for (const set of this.catalog.sets.listed()) {
      for (const root of this.catalog.sets.rootsOf(set.set)) seen.set(root.root, root);
    }
    return [...seen.values()].flatMap((root) => {
      const rest = restBelow(root.path, path);
      return rest === undefined ? [] : [{ root, rest }];
    });
  }

  async locate(contents: readonly WantedContent[]): Promise<ContentLocation[]> {
    return contents.map(({ contentId = 0 }) =>
      this.locator.locate(this.reading().contents, contentId),
    );
  }

  deltas(): undefined {
    return undefined;
  }

  objects(): ObjectReader {
    return new DirectoryBackend(this.clientPath, this.files);
  }

  close(): void {
    clearTimeout(this.sliceTimer);
    try {
      this.endSlice();
    } finally {
      this.catalog.close();
    }
  }
}
