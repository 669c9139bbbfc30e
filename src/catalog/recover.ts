/**
 * Brings a catalog up to what the packs hold: after a crash by the commits it lacks, and from an
 * empty catalog by all of them (rebuild), beginning with the newest image. A last commit that is not all there
 * was never acknowledged; of an earlier one what can be read is used. Within a commit, contents come first,
 * then listings and events in the order of their numbers.
 */
import { asTardisError, TardisError, throwIfAborted } from '../errors/index.js';
import { digestKey } from '../model/index.js';
import {
  type Backend,
  type Counters,
  isRecordSound,
  objectName,
  packName,
  type ParsedRecord,
  readEvent,
  readListing,
  readRecord,
  recordBytes,
  type RecordHeader,
  RecordKind,
  type Location,
} from '../store/index.js';
import { breather } from '../system/index.js';
import { applyEvent, applySection, breakDependants } from './apply.js';
import { ContentRecords } from './apply-records.js';
import type { Catalog } from './catalog.js';
import { CommitWalk, type PendingCommit, type PendingRecord } from './commit-walk.js';
import { findRemovals, ImageLoader, noteImage, type Removals } from './from-image.js';
import type { CommitPoint } from './state.js';

/** An event that says which packs were moved is smaller; others need not be read twice. */
const MAX_MOVED_BYTES = 64 << 10;
const NO_REMOVALS: Removals = {
  image: undefined,
  packs: new Set(),
  kept: undefined,
  objects: new Map(),
};

export interface RecoveryReport {
  /** Commits applied. */
  readonly commits: number;
  /** Records that are damaged, and packs and commits that are missing; their contents are too. */
  readonly damagedRecords: number;
  /** Some of it were no contents: entries or whole sets may be missing. */
  readonly isMetadataLost: boolean;
  readonly counters: Counters;
  readonly point: CommitPoint;
  /** The highest pack number in use, committed or not. */
  readonly lastPack: number;
}

export interface RecoveryOptions {
  /** Read every body and check it (rebuild); else only those of the last commit. */
  readonly checkBodies: boolean;
  /** With `checkBodies`: leave the bodies of contents out, for who looks at them himself. */
  readonly onlyMetadata?: boolean;
  /** Of a rebuild: the last commit that the catalog before knew. The one behind it was told to nobody. */
  readonly knownCommit?: number;
  /** Ends it between two commits or packs, as INTERRUPTED. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (pack: number, lastPack: number) => void;
}

interface CheckedRecords {
  readonly sound: readonly PendingRecord[];
  /** Contents whose bytes do not match their checksum. */
  readonly unsound: readonly PendingRecord[];
  /** How many records are not sound. */
  readonly damaged: number;
}

/** Applies what is missing. Must hold the client's lock; call outside a transaction. */
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
  private counters: Counters;
  private point: CommitPoint;
  private removals: Removals = NO_REMOVALS;
  private readonly contents: ContentRecords;
  private readonly catalog: Catalog;
  private readonly backend: Backend;
  private readonly options: RecoveryOptions;
  private readonly turn = breather();

  constructor(catalog: Catalog, backend: Backend, options: RecoveryOptions) {
    const { checkBodies, onlyMetadata = !checkBodies } = options;
    this.contents = new ContentRecords(catalog, backend, !onlyMetadata, () => {
      this.damagedRecords += 1;
    });
    this.catalog = catalog;
    this.backend = backend;
    this.options = options;
    this.counters = catalog.state.readCounters();
    this.point = catalog.state.readCommitPoint();
  }

  async run(): Promise<RecoveryReport> {
    await this.requirePoint();
    const { checkBodies, knownCommit, onProgress } = this.options;
    throwIfAborted(this.options.signal);
    if (checkBodies) this.removals = await findRemovals(this.backend);
    if (this.point.commit === 0) await this.beginWithImage();
    const walk = new CommitWalk(this.backend, {
      point: this.point,
      sequence: this.counters.sequence,
      isThorough: checkBodies,
      ...(knownCommit === undefined ? {} : { knownCommit }),
      ...(onProgress === undefined ? {} : { onPack: onProgress }),
    });
    for await (const commit of walk.commits()) await this.take(commit);
    this.damagedRecords += walk.damagedRecords;
    this.isMetadataLost ||= walk.isMetadataLost;
    const { commits, damagedRecords, isMetadataLost, counters, point } = this;
    const { lastPack } = walk;
    return { commits, damagedRecords, isMetadataLost, counters, point, lastPack };
  }

  /** Of a catalog that is made from nothing. */
  private async beginWithImage(): Promise<void> {
    const { removals } = this;
    const { image } = removals;
    if (image === undefined) return;
    const loader = new ImageLoader(this.catalog, this.backend, this.contents, removals);
    await loader.load(image, (pack) => this.options.onProgress?.(pack, image.point.pack));
    this.damagedRecords += loader.damagedRecords;
    this.isMetadataLost ||= loader.isMetadataLost;
    this.counters = image.body.counters;
    this.point = image.point;
    this.commits += 1;
  }

  /** Lets others have the thread, and ends when that is wished. */
  private breathe(): Promise<void> | undefined {
    return this.turn()?.then(() => throwIfAborted(this.options.signal));
  }

  /** A catalog that knows more than its packs hold would promise what is not there. */
  private async requirePoint(): Promise<void> {
    const { commit, pack, position } = this.point;
    if (commit === 0) return;
    const sizeBytes = (await this.backend.size(packName(pack))) ?? 0;
    if (sizeBytes >= position) return;
    throw new TardisError('CATALOG_DAMAGED', `${packName(pack)} is shorter than its catalog says`);
  }

  private async take(commit: PendingCommit): Promise<void> {
    const { isLast } = commit;
    const { checkBodies, knownCommit, signal } = this.options;
    throwIfAborted(signal);
    const checked = await this.checkBodies(commit, isLast);
    const isUntold = !checkBodies || commit.body.commit - 1 === knownCommit;
    if (isLast && isUntold && (!commit.matches || checked.damaged > 0)) {
      // The last sync was cut short: this checkpoint was never acknowledged.
      return;
    }
    if (!checkBodies && commit.body.commit !== this.point.commit + 1) {
      const what = `checkpoints between ${this.point.commit} and ${commit.body.commit} are missing`;
      throw new TardisError('CATALOG_DAMAGED', `what the catalog lacks is not all there: ${what}`);
    }
    this.damagedRecords += checked.damaged + commit.gaps;
    if (commit.gaps > 0) this.isMetadataLost = true;
    await this.apply(commit, checked);
  }

  /** Reads bodies where that is asked for, and tells the records that are sound from the others. */
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
    catalog.begin();
    try {
      for (const record of records) {
        if (record.header.sequence > 0) continue;
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
      this.counters = commit.body.counters;
      this.point = commit.point;
      catalog.state.write(this.counters, this.point);
      noteImage(catalog, ordered);
      catalog.commit();
    } catch (error) {
      catalog.rollback();
      throw error;
    }
    catalog.foldLog();
    this.commits += 1;
  }

  /**
   * After a kill the records may stand in the page cache only: they become durable before the
   * catalog does.
   */
  private async syncCovered({ body, point }: PendingCommit): Promise<void> {
    const packs = new Set([...body.ranges.map((range) => range.pack), point.pack]);
    const there: string[] = [];
    for (const pack of packs) {
      const name = packName(pack);
      if ((await this.backend.size(name)) !== undefined) there.push(name);
      else if (this.options.checkBodies && !this.removals.packs.has(pack)) {
        // Gone as a whole: a rebuild does without it.
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

  /** Packs whose contents those of a commit take the place of. */
  private async movedIn(ordered: readonly PendingRecord[]): Promise<ReadonlySet<number>> {
    const packs = new Set<number>();
    for (const { header, location } of ordered) {
      if (header.kind !== RecordKind.event || header.bodyBytes > MAX_MOVED_BYTES) continue;
      try {
        const event = readEvent(await this.read(header, location));
        if (event.type === 'moved') for (const pack of event.packs) packs.add(pack);
      } catch (error) {
        if (asTardisError(error).code !== 'RECORD_DAMAGED') throw error; // it is counted where it is applied
      }
    }
    return packs;
  }

  private async applyOrdered({ header, location }: PendingRecord): Promise<void> {
    const record = await this.read(header, location);
    if (header.kind === RecordKind.image) return; // it says what the catalog says
    if (header.kind === RecordKind.event) {
      applyEvent(this.catalog, readEvent(record), this.contents.unsound);
      return;
    }
    for (const section of readListing(record)) applySection(this.catalog, section);
  }

  private read(header: RecordHeader, { pack, position }: Location): Promise<ParsedRecord> {
    return readRecord(this.backend, packName(pack), position, recordBytes(header));
  }

  /** Damage in one record does not keep the others from being used: it is counted. */
  private async tolerate<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof TardisError) || error.code !== 'RECORD_DAMAGED') throw error;
      this.damagedRecords += 1;
      return undefined;
    }
  }
}
