/**
 * Brings a catalog up to date with the packs:
 * - After a crash, applies the commits that the catalog lacks. A rebuild begins with an empty catalog and the newest
 *   image, and applies all later commits.
 * - Drops an incomplete last commit, which was never acknowledged. Uses all readable records of other commits.
 * - Within a commit, applies contents first, then listings and events by sequence.
 */
import { asTardisError, TardisError, throwIfAborted } from '../../../errors/index.js';
import { digestKey, type PackNumber } from '../../../model/index.js';
import {
  type Backend,
  type ClientDirectory,
  type CommitBody,
  type Counters,
  higherCounters,
  isOfContents,
  isRecordSound,
  objectName,
  packName,
  readEvent,
  readListing,
  RecordKind,
} from '../../index.js';
import { readStart, type System, yieldRegularly } from '../../../system/index.js';
import { applyEvent, applyFound, applySection, breakDependants } from './apply.js';
import { ContentRecords } from './apply-records.js';
import { Catalog } from '../catalog.js';
import type { PendingCommit, PendingRecord } from './commit-walk.js';
import { hasLog, requireCommits, walkCommits } from './log-walk.js';
import { type HistoryStart, imageStart } from './from-image.js';
import { HistoryLoader, noteImage } from './history-loader.js';
import { eventIn, findRemovals, readPending, type Removals } from './removals.js';
import type { SalvageWalk } from './salvage-walk.js';
import type { CommitPoint, StateTable } from '../tables/state.js';

/** Maximum size of an event that lists moved packs. Larger events need not be read twice. */
const MAX_MOVED_BYTES = 64 << 10;
/** Number of commits of a bucket's log after which SQLite's log is folded. */
const FOLD_EVERY = 64;
/** Offset of the write version in SQLite's header. The value 2 means a write-ahead log. */
const WRITE_VERSION_AT = 18;
const BY_LOG = 2;

const NO_REMOVALS: Removals = {
  image: undefined,
  packs: new Set(),
  kept: undefined,
  hasCuts: false,
  isHollow: false,
  objects: new Map(),
};

export interface RecoveryReport {
  /** Number of applied commits. */
  readonly commits: number;
  /** Number of damaged records, missing packs and missing commits. */
  readonly damagedRecords: number;
  /** True if listings, events or commits were lost, so that entries or whole sets may be missing. */
  readonly isMetadataLost: boolean;
  readonly counters: Counters;
  readonly point: CommitPoint;
  /** The commit of the newest image in the packs; 0 if there is none, or if no image was searched for. */
  readonly imageCommit: number;
  /** The highest pack number in use, committed or not. */
  readonly lastPack: PackNumber;
  /** Numbers of files that are not packs of this client, from the first replayed pack on. */
  readonly strangePacks: readonly PackNumber[];
}

interface RecoveryOptions {
  /** True to read and check every body (a rebuild); false to check only those of the last commit. */
  readonly checkBodies: boolean;
  /** With `checkBodies`, true to skip the bodies of contents, because the caller checks them itself. */
  readonly onlyMetadata?: boolean;
  /** For a rebuild: the last commit in the old catalog. A later commit was never acknowledged. */
  readonly knownCommit?: number;
  /** For a rebuild: the history to begin with, in place of the newest image. */
  readonly start?: HistoryStart;
  /** True if the catalog is new on this machine. All commits of a log are then looked for. */
  readonly begins?: boolean;
  /** True to apply no commits after those in the catalog. */
  readonly assumesNewest?: boolean;
  /** For a rebuild: a walk of a log that continues past lost commits. It begins where the catalog ends. */
  readonly walk?: SalvageWalk;
  /** When it is aborted, the recovery soon ends with INTERRUPTED. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (pack: PackNumber, lastPack: PackNumber) => void;
}

interface CheckedRecords {
  readonly sound: readonly PendingRecord[];
  /** Records of contents whose bytes do not match their checksums. */
  readonly unsound: readonly PendingRecord[];
  /** Number of records that are not sound. */
  readonly damaged: number;
}

/** Applies the missing commits. The caller must hold the client's lock, and no transaction may be open. */
export async function recoverCatalog(
  catalog: Catalog,
  backend: Backend,
  options: RecoveryOptions,
): Promise<RecoveryReport> {
  return new Recovery(catalog, backend, options).run();
}

class Recovery {
  private commits = 0;
  private damagedRecords = 0;
  private isMetadataLost = false;
  /** The history that the rebuild began with, if any. */
  private history: HistoryLoader | undefined;
  private found: readonly Buffer[] = [];
  private counters: Counters;
  private point: CommitPoint;
  private removals: Removals = NO_REMOVALS;
  private readonly contents: ContentRecords;
  private readonly turn = yieldRegularly();

  constructor(
    private readonly catalog: Catalog,
    private readonly backend: Backend,
    private readonly options: RecoveryOptions,
  ) {
    const { checkBodies, onlyMetadata = !checkBodies } = options;
    this.contents = new ContentRecords(catalog, backend, !onlyMetadata, () => {
      this.damagedRecords += 1;
    });
    this.counters = catalog.state.readCounters();
    this.point = catalog.state.readCommitPoint();
  }

  async run(): Promise<RecoveryReport> {
    if (this.options.walk === undefined) await this.requirePoint();
    const { checkBodies, knownCommit, onProgress, assumesNewest } = this.options;
    throwIfAborted(this.options.signal);
    const isSalvage = this.options.walk !== undefined; // a log has no images
    if (checkBodies && !isSalvage) this.removals = await findRemovals(this.backend);
    if (this.point.commit === 0) await this.beginWithHistory();
    const start = { point: this.point, sequence: this.counters.sequence, isThorough: checkBodies };
    const walk =
      this.options.walk ??
      walkCommits(this.backend, {
        ...start,
        ...(knownCommit === undefined ? {} : { knownCommit }),
        ...(onProgress === undefined ? {} : { onPack: onProgress }),
      });
    if (assumesNewest !== true) for await (const commit of walk.commits()) await this.take(commit);
    this.takeFound();
    this.damagedRecords += walk.damagedRecords + (this.history?.lackingRecords ?? 0);
    if (this.history !== undefined && this.damagedRecords === 0) {
      // A truncated pack has no damaged record left at its end, and a damaged index may name another digest.
      this.damagedRecords = this.catalog.history.brokenVersions;
    }
    this.isMetadataLost ||= walk.isMetadataLost;
    const { commits, damagedRecords, isMetadataLost, counters, point } = this;
    const { lastPack, strangePacks } = walk;
    const found = { commits, damagedRecords, isMetadataLost, counters, point };
    const imageCommit = this.removals.image?.body.commit ?? 0;
    return { ...found, imageCommit, lastPack, strangePacks };
  }

  /** Fills an empty catalog from the history that a rebuild begins with, if there is one. */
  private async beginWithHistory(): Promise<void> {
    const { catalog, backend, contents, options } = this;
    const start = options.start ?? imageStart(backend, this.removals);
    if (start === undefined) return;
    const packs = new Set([...this.removals.packs, ...start.removedPacks.keys()]);
    this.removals = { ...this.removals, packs };
    const loader = new HistoryLoader(catalog, backend, contents, this.removals);
    this.history = loader;
    await loader.load(start, (pack) => options.onProgress?.(pack, start.point.pack));
    this.damagedRecords += loader.damagedRecords;
    this.isMetadataLost ||= loader.isMetadataLost;
    this.found = loader.found.digests;
    this.counters = start.counters;
    this.point = start.point;
    this.commits += 1;
    if (start.later.length > 0) await this.applyLater(start.later);
  }

  /** Marks contents of packs that were put back as sound, even contents recorded as missing. Requests an image. */
  private takeFound(): void {
    const { catalog, found } = this;
    if (found.length === 0) return;
    catalog.begin();
    for (const digest of found) applyFound(catalog, digest);
    breakDependants(catalog);
    catalog.state.writeImageRequested(true);
    catalog.commit();
  }

  /** Applies listings and events after an image whose commit record is lost. */
  private async applyLater(records: readonly PendingRecord[]): Promise<void> {
    this.damagedRecords += 1;
    this.isMetadataLost = true;
    await this.catalog.transact(async () => {
      for (const record of records) {
        await this.breathe();
        await this.tolerate(() => this.applyOrdered(record));
      }
    });
  }

  /** Yields to other tasks. Throws INTERRUPTED if the signal has been aborted. */
  private breathe(): Promise<void> | undefined {
    return this.turn()?.then(() => throwIfAborted(this.options.signal));
  }

  /**
   * Throws CATALOG_DAMAGED if the packs end before the catalog's last commit, or its counters are below numbers in use.
   * If a log lacks a commit, throws the errors of `requireCommits`; a rebuild counts such a commit as damage.
   */
  private async requirePoint(): Promise<void> {
    const { backend, point, options } = this;
    const { commit, pack, position } = point;
    if (hasLog(backend) && !options.checkBodies) {
      await requireCommits(backend, point, options.begins === true);
    }
    if (commit === 0) return;
    if (!hasLog(backend) && ((await backend.size(packName(pack))) ?? 0) < position) {
      const what = `${packName(pack)} is shorter than in its catalog`;
      throw new TardisError('CATALOG_DAMAGED', what);
    }
    if (this.catalog.state.areCountersBehind()) {
      const what = 'numbers of sets or directories are in use that the catalog has not given out';
      throw new TardisError('CATALOG_DAMAGED', what);
    }
  }

  private async take(commit: PendingCommit): Promise<void> {
    const { isLast } = commit;
    const { checkBodies, knownCommit, signal } = this.options;
    throwIfAborted(signal);
    const checked = await this.checkBodies(commit, isLast);
    const mayBeCutShort = !checkBodies || commit.body.commit - 1 === knownCommit;
    if (isLast && mayBeCutShort && (!commit.matches || checked.damaged > 0)) {
      // The last sync was cut short: this checkpoint was never acknowledged.
      return;
    }
    if (!checkBodies && !commit.follows) {
      const [before, next] = [this.point.commit, commit.body.commit];
      const what =
        next === before + 1
          ? `checkpoint ${next} in the packs follows another one than ${before} of the catalog`
          : `checkpoints between ${before} and ${next} are missing`;
      throw new TardisError('CATALOG_DAMAGED', `what the catalog lacks is not all there: ${what}`);
    }
    this.damagedRecords += checked.damaged + commit.gaps;
    if (commit.gaps > 0) this.isMetadataLost = true;
    await this.apply(commit, checked);
  }

  /** Separates sound records from damaged ones. Records whose bodies need not be checked count as sound. */
  private async checkBodies(commit: PendingCommit, isLast: boolean): Promise<CheckedRecords> {
    if (!isLast && !this.options.checkBodies) {
      return { sound: commit.records, unsound: [], damaged: 0 };
    }
    const sound: PendingRecord[] = [];
    const unsound: PendingRecord[] = [];
    for (const record of commit.records) {
      await this.breathe();
      const { pack, position } = record.location;
      const isLeftOut = this.options.onlyMetadata === true && record.header.sequence === 0;
      if (
        isLeftOut ||
        (await isRecordSound(this.backend, packName(pack), position, record.header))
      ) {
        sound.push(record);
      } else if (record.header.sequence > 0) this.isMetadataLost = true;
      else unsound.push(record);
    }
    return { sound, unsound, damaged: commit.records.length - sound.length };
  }

  private async apply(commit: PendingCommit, checked: CheckedRecords): Promise<void> {
    const { catalog } = this;
    const { sound: records, unsound } = checked;
    const ordered = records
      .filter(({ header }) => header.sequence > 0)
      .sort((a, b) => a.header.sequence - b.header.sequence);
    await this.syncCovered(commit);
    const moved = await this.movedIn(ordered);
    await catalog.transact(async () => {
      for (const record of records) {
        if (!isOfContents(record.header)) continue;
        await this.tolerate(() => this.contents.apply(record, moved));
      }
      for (const record of unsound) this.contents.applyUnsound(record);
      for (const { digest } of commit.body.objects) {
        if ((this.removals.objects.get(digestKey(digest)) ?? 0) > commit.body.commit) continue;
        await this.tolerate(() => this.contents.applyObject(digest));
      }
      breakDependants(catalog);
      for (const record of ordered) {
        await this.breathe();
        const applied = await this.tolerate(async () => {
          await this.applyOrdered(record);
          return true;
        });
        this.isMetadataLost ||= applied !== true;
      }
      // The counters may be lower if the commit does not follow the last applied one.
      this.counters = higherCounters(this.counters, commit.body.counters);
      this.point = commit.point;
      catalog.state.write(this.counters, this.point);
      noteImage(catalog, ordered);
    });
    // A log may have many small commits, and each fold takes syncs.
    if (commit.isDurable !== true || this.commits % FOLD_EVERY === 0) catalog.foldLog();
    this.commits += 1;
  }

  /**
   * Syncs the packs and objects of a commit. After a crash of the process its records may be only in the page
   * cache, and they must be durable before the catalog is.
   */
  private async syncCovered({ body, point, isDurable = false }: PendingCommit): Promise<void> {
    if (isDurable) return;
    const ends = new Map(body.ranges.map(({ pack, to }) => [pack, to]));
    ends.set(point.pack, point.position);
    const there: string[] = [];
    for (const [pack, end] of ends) {
      const name = packName(pack);
      const sizeBytes = await this.backend.size(name);
      if (sizeBytes !== undefined) there.push(name);
      const isCut = (sizeBytes ?? 0) < end;
      if (this.options.checkBodies && isCut && !this.removals.packs.has(pack)) {
        // The pack is missing or truncated; a rebuild uses the rest.
        this.damagedRecords += 1;
        this.isMetadataLost = true;
      }
    }
    for (const { digest } of body.objects) {
      const name = objectName(digest);
      if ((await this.backend.size(name)) !== undefined) there.push(name);
    }
    await Promise.all(there.map((name) => this.backend.sync(name)));
  }

  /** Returns the packs whose contents the records of a commit replace. */
  private async movedIn(ordered: readonly PendingRecord[]): Promise<ReadonlySet<PackNumber>> {
    const packs = new Set<PackNumber>();
    for (const record of ordered) {
      const { kind, bodyBytes } = record.header;
      if (kind !== RecordKind.event || bodyBytes > MAX_MOVED_BYTES) continue;
      const event = await eventIn(this.backend, record); // a damaged one is counted when it is applied
      if (event?.type === 'moved') for (const pack of event.packs) packs.add(pack);
    }
    return packs;
  }

  private async applyOrdered(pending: PendingRecord): Promise<void> {
    const { header } = pending;
    const record = await readPending(this.backend, pending);
    if (header.kind === RecordKind.image) return; // the catalog already has the data of an image
    if (header.kind === RecordKind.event) {
      const event = readEvent(record);
      applyEvent(this.catalog, event, this.contents.unsound);
      if (event.type === 'removed' && hasLog(this.backend)) breakDependants(this.catalog);
      return;
    }
    for (const section of readListing(record)) applySection(this.catalog, section);
  }

  /**
   * Returns the result of `work`, or undefined if it meets a damaged record, which is counted; other records are used.
   * Throws the error when commits of a bucket are followed: else the catalogs of two machines would differ for ever.
   */
  private async tolerate<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      const isStrict = hasLog(this.backend) && !this.options.checkBodies;
      if (isStrict || asTardisError(error).code !== 'RECORD_DAMAGED') throw error;
      this.damagedRecords += 1;
      return undefined;
    }
  }
}

/**
 * Returns the number of checkpoints that the packs contain and the catalog lacks. Each is written to the packs, then to the
 * catalog, so a catalog that lacks some is an older copy, and does not list later sets. Returns 0 if a running or killed
 * session explains the difference: it writes to the packs first, but only the checkpoint that follows the catalog's last
 * one. Returns 0 for a client in a bucket, whose catalog is a cache: others may have committed since. `seen` is the state in a
 * copy of the catalog that was made a moment ago.
 */
export async function commitsBehind(
  system: System,
  { bucket, catalogPath }: ClientDirectory,
  backend: Backend,
  seen: StateTable,
): Promise<number> {
  if (bucket !== undefined) return 0;
  const point = seen.readCommitPoint();
  const start = { point, sequence: seen.readCounters().sequence, isThorough: true };
  let last: CommitBody | undefined;
  for await (const commit of walkCommits(backend, start).commits()) {
    const { body, matches, isLast } = commit;
    if ((matches || !isLast) && body.commit > (last?.commit ?? 0)) last = body;
  }
  if (last === undefined || last.commit <= point.commit) return 0;
  // Read in this order, since a session that is running applies its last checkpoint, and ends, meanwhile.
  const mayRun = readStart(system.files, catalogPath, WRITE_VERSION_AT + 1)?.at(-1) === BY_LOG;
  const known = Catalog.lastCommit(system, catalogPath);
  const lacks = Math.max(0, last.commit - known.commit);
  return mayRun && lacks === 1 && last.previous === known.checksum ? 0 : lacks;
}
