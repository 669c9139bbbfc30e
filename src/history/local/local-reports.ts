/** Reports on a store on this machine. */
import path from 'node:path';
import {
  type AttributeUse,
  type Catalog,
  databaseBytes,
  type EntryPlace,
  IdSet,
  type NamedVersion,
  pages,
  ROOTS_DIRECTORY,
  type SetSpan,
  type StoredUse,
} from '../../store/catalog/index.js';
import {
  type ClientConfig,
  type ClientSetting,
  type ContentId,
  type DirectoryId,
  listAt,
  NO_CONTENT,
  type RootNumber,
  type RunRecord,
  type SetNumber,
} from '../../model/index.js';
import {
  type Backend,
  catalogIdentity,
  type ClientDirectory,
  addRuns,
  listClients,
  PACKS_PREFIX,
  readRuns,
  RecordKind,
  storedFiles,
} from '../../store/index.js';
import {
  atOnce,
  BoundedCache,
  type Files,
  type System,
  yieldRegularly,
} from '../../system/index.js';
import type { Access } from './access.js';
import type { HistoryEntry } from '../history.js';
import { completeShown, measureDeadSpace } from './dead-space.js';
import { DirectoryPaths } from './directory-paths.js';
import {
  type BusyDirectory,
  type ChangesFound,
  type ChangesPage,
  MOST_BUSY,
  type NamedPage,
  type NamesFound,
  type Reports,
  type SizesFound,
  type SizesRequest,
  type StoreFigures,
  type StoreState,
} from '../reports.js';
import { countTree, type Slice, type TreeSizes } from './tree-sizes.js';

/** Number of directories whose changes one query reads. */
const SLICE_DIRECTORIES = 4096;
/** Number of directories whose entries one query counts. */
const COUNTED_DIRECTORIES = 512;
/** Maximum number of sets whose directory paths are cached. */
const MAX_REMEMBERED = 4;

/** The files and rights that reports need, beside the catalog. */
interface ReportSources {
  readonly system: System;
  readonly directory: ClientDirectory;
  readonly access: Access;
  readonly remote: (() => Backend) | undefined;
  /** Identifies the catalog that was opened: what `catalogIdentity` returned before. */
  readonly opened: string;
}

export class LocalReports implements Reports {
  private readonly places = new BoundedCache<SetNumber, DirectoryPaths>(MAX_REMEMBERED);
  /** Sizes of trees, by the numbers of both sets. */
  private readonly trees = new BoundedCache<string, Promise<TreeSizes>>(MAX_REMEMBERED);
  /** Roots of the set that was requested last. */
  private roots: { readonly set: SetNumber; readonly roots: ReadonlySet<RootNumber> } | undefined;
  private readonly directory: ClientDirectory;
  private readonly system: System;
  private readonly files: Files;
  private readonly access: Access;
  /** Opens the records of a client in a bucket; undefined for other clients. */
  private readonly remote: (() => Backend) | undefined;
  /** Identifies the catalog that was opened. */
  private readonly opened: string;

  /** `catalog` returns the catalog to read from at the moment of the call; `remote` opens records that are in a bucket. */
  constructor(
    private readonly catalog: () => Catalog,
    { system, directory, access, remote, opened }: ReportSources,
  ) {
    this.remote = remote;
    this.directory = directory;
    this.system = system;
    this.files = system.files;
    this.access = access;
    this.opened = opened;
  }

  async rootsOfSets(): Promise<ReadonlyMap<SetNumber, readonly Buffer[]>> {
    const roots = new Map<SetNumber, Buffer[]>();
    for (const [set, root] of this.catalog().reports.rootsOfSets()) {
      listAt(roots, set).push(root);
    }
    return roots;
  }

  async changes({ after, limit, before, set }: ChangesPage): Promise<ChangesFound> {
    const { reports } = this.catalog();
    const span = { before, set };
    const wanted = Math.max(2, limit) + 1; // the last name may have another version
    const rest = after.directory < 0 ? [] : reports.restOf(after, span, wanted);
    if (rest.length >= wanted) return this.found(span, rest, true);
    const upTo = after.directory + SLICE_DIRECTORIES;
    const more = reports.between(after.directory, upTo, span, wanted - rest.length);
    const entries = [...rest, ...more];
    if (entries.length >= wanted) return this.found(span, entries, true);
    const following = reports.nextDirectory(upTo + 1);
    const { entries: shown } = this.found(span, entries, false);
    const next =
      following === undefined ? undefined : { directory: following - 1, name: LAST_NAME };
    return { entries: shown, next };
  }

  /** Finds names in all directories. Access rights are checked not here but in `directoryPaths`. */
  async named({ after, literal, isMatch }: NamedPage): Promise<NamesFound> {
    const { named } = this.catalog();
    const from = after.directory < 0 ? BEHIND_ROOTS : after;
    const scanned = literal.length === 0 ? FEW_VERSIONS : MANY_VERSIONS;
    const next = named.placeBehind(from, scanned);
    const found = named.find(from, next ?? LAST_PLACE, literal);
    const versions: NamedVersion[] = [];
    const breathe = yieldRegularly(); // a pattern may take long
    for (const version of found) {
      await breathe();
      if (isMatch(version.name)) versions.push(version);
    }
    return { versions, next };
  }

  /**
   * Returns a page of changes. If `isCut`, the last name is left for the next page, since more of its versions may
   * follow.
   */
  private found(
    span: { before: SetNumber; set: SetNumber },
    entries: HistoryEntry[],
    isCut: boolean,
  ): ChangesFound {
    const last = entries.at(-1);
    const whole =
      isCut && last !== undefined ? entries.filter((entry) => !isSameName(entry, last)) : entries;
    const end = whole.at(-1);
    const next =
      isCut && end !== undefined ? { directory: end.directory, name: end.name } : undefined;
    return { entries: whole.filter((entry) => this.mayShow(span, entry)), next };
  }

  /** True if the reader may see an entry and its root is one of the set. Other roots may have changed in other sets. */
  private mayShow(
    { before, set }: { before: SetNumber; set: SetNumber },
    entry: HistoryEntry,
  ): boolean {
    const { directory, name } = entry;
    const roots = this.rootsIn(set);
    if (directory === ROOTS_DIRECTORY) return roots.has(Number(name.toString('latin1')));
    const place = this.placesIn(set).of(directory) ?? this.placesIn(before).of(directory);
    return place?.mayList === true && roots.has(this.catalog().history.rootOf(directory));
  }

  private rootsIn(set: SetNumber): ReadonlySet<RootNumber> {
    if (this.roots?.set !== set) {
      const roots = new Set(
        this.catalog()
          .sets.rootsOf(set)
          .map(({ root }) => root),
      );
      this.roots = { set, roots };
    }
    return this.roots.roots;
  }

  async directoryPaths(
    set: SetNumber,
    directories: readonly DirectoryId[],
  ): Promise<(Buffer | undefined)[]> {
    const places = this.placesIn(set);
    return directories.map((directory) => {
      const place = places.of(directory);
      return place?.mayList === true ? place.path : undefined;
    });
  }

  private placesIn(set: SetNumber): DirectoryPaths {
    let places = this.places.get(set);
    if (places === undefined) {
      places = new DirectoryPaths(this.catalog(), set, this.access);
      this.places.set(set, places);
    }
    return places;
  }

  async settings(): Promise<readonly ClientSetting[]> {
    return this.catalog().settings.all();
  }

  runs(most?: number): Promise<readonly RunRecord[]> {
    return readRuns(this.system, this.directory, most);
  }

  noteRuns(runs: readonly RunRecord[]): Promise<void> {
    return addRuns(this.system, this.directory, runs);
  }

  async clientConfig(set: SetNumber): Promise<ClientConfig | undefined> {
    return this.catalog().settings.configOf(set);
  }

  async figures(): Promise<StoreFigures> {
    const breathe = yieldRegularly();
    const { shown, busiest, ...versions } = await this.versions(breathe);
    const contents = await this.contents(breathe);
    const { directory, files: calls } = this;
    const dead = await measureDeadSpace(this.catalog(), {
      directory,
      files: calls,
      shown,
      breathe,
    });
    const { count: records, recordBytes, rawBytes } = this.catalog().reports.records();
    const sets = this.catalog().sets.listed().length;
    const files = await this.filesTaken();
    return {
      numbers: {
        ...files,
        sets,
        ...versions,
        ...contents,
        ...dead,
        records,
        recordBytes,
        rawBytes,
      },
      busiest,
    };
  }

  async freedBy(gone: ReadonlySet<SetNumber>): Promise<number> {
    const breathe = yieldRegularly();
    const shown = { all: new IdSet(), recent: new IdSet() };
    const listed = this.catalog().sets.listed();
    const staying = listed.map(({ set }) => set).filter((set) => !gone.has(set));
    for await (const slice of this.slices(breathe)) {
      for (const [contentId, from, to] of this.catalog().reports.spansIn(...slice)) {
        shown.all.add(contentId);
        const next = staying.find((set) => set >= from);
        if (next !== undefined && next <= (to ?? Infinity)) shown.recent.add(contentId);
      }
    }
    completeShown(this.catalog(), shown);
    const { directory, files } = this;
    const sources = { directory, files, shown, breathe };
    return (await measureDeadSpace(this.catalog(), sources)).olderBytes;
  }

  async sizes(request: SizesRequest): Promise<SizesFound> {
    if (!this.access.isUnrestricted)
      return { isCounted: false, sums: undefined, below: [], more: 0 };
    return (await this.treeOf(request)).largest(request);
  }

  private treeOf({ before, set }: SetSpan): Promise<TreeSizes> {
    const key = `${before} ${set}`;
    const known = this.trees.get(key);
    if (known !== undefined) return known;
    const counted = countTree(this.catalog, { before, set }, this.slices(yieldRegularly()));
    const isComplete = this.catalog().sets.find(set)?.state === 'complete';
    if (!isComplete) return counted; // it may still grow
    this.trees.set(key, counted);
    counted.catch(() => this.trees.delete(key)); // the caller gets the error
    return counted;
  }

  async store(): Promise<StoreState> {
    const { opened, files, directory } = this;
    const isReplaced = catalogIdentity(files, directory) !== opened;
    // A disk that is away is no failure of it.
    if (files.status(directory.path) === undefined)
      listClients(this.system, path.dirname(directory.path));
    return { catalog: opened, isReplaced, space: files.space(directory.path) };
  }

  async attributeUse(limitMs: number): Promise<AttributeUse | undefined> {
    const endsMs = performance.now() + limitMs;
    const use = { hasAcls: false, hasAny: false };
    for await (const slice of this.slices(yieldRegularly())) {
      if (performance.now() >= endsMs) return undefined;
      const found = this.catalog().reports.attributeUse(...slice);
      use.hasAcls ||= found.hasAcls;
      use.hasAny ||= found.hasAny;
      if (use.hasAcls) break;
    }
    return use;
  }

  /** Yields the directories with entries in slices, each of which one query reads. */
  private async *slices(breathe: () => Promise<void> | undefined): AsyncGenerator<Slice> {
    let first = this.catalog().reports.nextDirectory(0);
    while (first !== undefined) {
      const upTo: DirectoryId = first - 1 + COUNTED_DIRECTORIES;
      yield [first - 1, upTo];
      await breathe();
      first = this.catalog().reports.nextDirectory(upTo + 1);
    }
  }

  /** Counts all versions, in slices of directories. */
  private async versions(breathe: () => Promise<void> | undefined) {
    const shown = { all: new IdSet(), recent: new IdSet() };
    const sets = this.catalog().sets.listed();
    const newest = sets.findLast(({ state }) => state === 'complete')?.set ?? 0;
    const busy = new Busiest();
    let [versions, openVersions, versionBytes] = [0, 0, 0];
    for await (const slice of this.slices(breathe)) {
      const { reports } = this.catalog();
      for (const [directory, all, open, bytes, older, olderBytes] of reports.uses(...slice)) {
        versions += all;
        openVersions += open;
        versionBytes += bytes;
        if (older > 0) busy.add({ directory, versions: older, bytes: olderBytes });
      }
      for (const [contentId, isRecent] of reports.shownIn(...slice, newest)) {
        shown.all.add(contentId);
        if (isRecent === 1) shown.recent.add(contentId);
      }
    }
    completeShown(this.catalog(), shown);
    return { shown, busiest: busy.most(), versions, openVersions, versionBytes };
  }

  /** Counts the stored contents and their bytes, each content once. */
  private async contents(breathe: () => Promise<void> | undefined) {
    let [contents, contentBytes, deltas] = [0, 0, 0];
    const pageAfter = (after: ContentId, limit: number): StoredUse[] =>
      this.catalog().reports.stored(after, limit);
    for (const page of pages(NO_CONTENT, pageAfter, ([contentId]) => contentId)) {
      for (const [, sizeBytes, kind] of page) {
        contents += 1;
        if (kind === RecordKind.delta) deltas += 1;
        if (kind !== RecordKind.assembly) contentBytes += sizeBytes; // the parts of an assembly are counted
      }
      await breathe();
    }
    return { contents, contentBytes, deltas };
  }

  private async filesTaken() {
    const { files, directory } = this;
    const here = { packs: { count: 0, bytes: 0 }, objects: { count: 0, bytes: 0 } };
    for await (const { part, sizeBytes } of storedFiles(files, directory.path)) {
      if (part !== 'packs' && part !== 'objects') continue;
      here[part].count += 1;
      here[part].bytes += sizeBytes;
    }
    const packs = this.remote === undefined ? here.packs : await packsIn(this.remote());
    return {
      packs: packs.count,
      packBytes: packs.bytes,
      objects: here.objects.count,
      objectBytes: here.objects.bytes,
      catalogBytes: databaseBytes(files, directory.catalogPath),
    };
  }
}

/** Number of sizes that are requested of a bucket at once. */
const REQUESTS_AT_ONCE = 16;

/** Returns the number and size of the packs in a bucket. */
async function packsIn(records: Backend): Promise<{ count: number; bytes: number }> {
  using backend = records;
  const names = await backend.list(PACKS_PREFIX);
  let bytes = 0;
  await atOnce(names, REQUESTS_AT_ONCE, async (name) => {
    const sizeBytes = await backend.size(name);
    bytes += sizeBytes ?? 0;
  });
  return { count: names.length, bytes };
}

/** A name that sorts after all others, since no byte of a name is greater than 0xff. */
const LAST_NAME: Buffer = Buffer.alloc(4097, 0xff);
const LAST_PLACE: EntryPlace = { directory: Number.MAX_SAFE_INTEGER, name: LAST_NAME };
/** The place after all roots, whose names are numbers. */
const BEHIND_ROOTS: EntryPlace = { directory: ROOTS_DIRECTORY, name: LAST_NAME };
/**
 * Numbers of versions that one query covers: FEW_VERSIONS if all of them are returned, MANY_VERSIONS if only a few
 * are.
 */
const FEW_VERSIONS = 8192;
const MANY_VERSIONS = 16_384;

function isSameName(one: EntryPlace, other: EntryPlace): boolean {
  return one.directory === other.directory && one.name.equals(other.name);
}

/** Collects the directories with the most bytes in older versions, largest first. */
class Busiest {
  private found: BusyDirectory[] = [];

  add(one: BusyDirectory): void {
    const least = this.found.at(-1);
    if (this.found.length >= MOST_BUSY && least!.bytes >= one.bytes) return;
    const all = [...this.found, one].sort((first, second) => second.bytes - first.bytes);
    this.found = all.slice(0, MOST_BUSY);
  }

  most(): readonly BusyDirectory[] {
    return this.found;
  }
}
