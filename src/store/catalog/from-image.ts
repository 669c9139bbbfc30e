/**
 * Begins a rebuild with a history that is known up to some commit. It is the newest image in the packs, or a
 * sound catalog if the packs have holes. The history is loaded into the empty catalog, then the contents of the
 * packs. All commits after that point are replayed as usual. Without an image nothing was ever removed, and all
 * commits are replayed.
 */
import { digestKey, type PackNumber } from '../../model/index.js';
import {
  type Backend,
  type Counters,
  type ImageItem,
  isOfContents,
  isRecordSound,
  listPacks,
  packName,
  readEvent,
  readImagePiece,
  readRecord,
  recordBytes,
  RecordKind,
  scanPack,
} from '../index.js';
import { yieldRegularly } from '../../system/index.js';
import { applyDamage, breakDependants, contentOfRow } from './apply.js';
import { digestsIn } from './apply-contents.js';
import type { ContentRecords } from './apply-records.js';
import type { Catalog } from './catalog.js';
import { FoundContents, soundOr } from './found-contents.js';
import { isWithin, type PendingCommit, type PendingRecord } from './commit-walk.js';
import type { CommitPoint } from './state.js';
import { walkCommits } from './walk-commits.js';

type ImageHead = Extract<ImageItem, { type: 'head' }>;

/** Removed packs and objects, found in the packs before anything is written to a catalog. */
export interface Removals {
  /** The commit of the newest complete image. */
  readonly image: PendingCommit | undefined;
  /** Packs removed after that image, or at any time if there is no image. */
  readonly packs: ReadonlySet<number>;
  /** The packs before that of the image that the image names; undefined if all count. */
  readonly kept: ReadonlySet<number> | undefined;
  /** True if ends of packs were moved elsewhere and cut off after that image. */
  readonly hasCuts: boolean;
  /** True if commits are missing, or records between them, so that listings and events may be missing too. */
  readonly isHollow: boolean;
  /** The number of the last commit that removed an object, by its digest key. */
  readonly objects: ReadonlyMap<string, number>;
}

/** The state that a rebuild begins with. */
export interface HistoryStart {
  /** The last commit that it covers. */
  readonly point: CommitPoint;
  readonly counters: Counters;
  /** Packs whose contents are needed; undefined if that is not known. */
  readonly packs: ReadonlySet<number> | undefined;
  /** Unneeded packs and objects that are to be deleted, with the time of their removal in ms. */
  readonly removedPacks: ReadonlyMap<number, number>;
  readonly removedObjects: readonly (readonly [digest: Buffer, atMs: number])[];
  /** The records of an image. */
  readonly records: readonly PendingRecord[];
  /**
   * Listings and events up to `point` that the image does not cover, by sequence. The commit between them is
   * lost.
   */
  readonly later: readonly PendingRecord[];
  /** Yields the items of the history, the head first. Undefined stands for an unreadable piece. */
  pieces(): AsyncIterable<readonly ImageItem[] | undefined> | Iterable<readonly ImageItem[]>;
}

/** Data of an image about contents, which no table holds. */
interface SaidOfContents {
  readonly head: ImageHead | undefined;
  readonly objects: readonly Buffer[];
  readonly damaged: readonly Buffer[];
}

const NO_POINT = Object.freeze({ commit: 0, pack: 0, position: 0, checksum: 0 });
const NOTHING_KNOWN: ReadonlyMap<string, number> = new Map();
const NO_PACKS: ReadonlySet<number> = new Set();
const NOTHING_REMOVED: ReadonlyMap<number, number> = new Map();

/** Reads the headers of all packs and the events in them. Throws STORE_NEWER. */
export async function findRemovals(backend: Backend): Promise<Removals> {
  const walk = walkCommits(backend, { point: NO_POINT, sequence: 0, isThorough: true });
  let image: PendingCommit | undefined;
  let kept: ReadonlySet<number> | undefined;
  let packs = new Set<number>();
  let hasCuts = false;
  const objects = new Map<string, number>();
  for await (const commit of walk.commits()) {
    if (await isWholeImage(backend, commit)) {
      image = commit;
      kept = await keptBy(backend, commit);
      packs = new Set();
      hasCuts = false;
    }
    for (const record of commit.records) {
      if (record.header.kind !== RecordKind.event) continue;
      const event = await soundOr(undefined, async () => readEvent(await read(backend, record)));
      if (event?.type === 'cut') hasCuts = true;
      if (event?.type !== 'removed') continue;
      for (const pack of event.packs) packs.add(pack);
      for (const digest of event.objects) objects.set(digestKey(digest), commit.body.commit);
    }
  }
  return { image, packs, kept, hasCuts, isHollow: walk.isMetadataLost, objects };
}

/** True if a pack no longer counts, whether it exists or not. */
export function isRemoved({ image, packs, kept }: Removals, pack: PackNumber): boolean {
  if (packs.has(pack)) return true;
  return image !== undefined && pack < image.point.pack && kept?.has(pack) === false;
}

async function keptBy(
  backend: Backend,
  image: PendingCommit,
): Promise<ReadonlySet<number> | undefined> {
  const [first] = piecesOf(image);
  if (first === undefined) return undefined;
  const piece = await soundOr(undefined, async () => readImagePiece(await read(backend, first)));
  const head = piece?.items.find((item): item is ImageHead => item.type === 'head');
  return head && new Set(head.packs);
}

/**
 * True if all records of the image are present. For the last commit they must also be sound, since its sync may
 * have been cut short.
 */
async function isWholeImage(backend: Backend, commit: PendingCommit): Promise<boolean> {
  const pieces = piecesOf(commit);
  const last = pieces.at(-1);
  if (last === undefined) return false;
  if (commit.isLast) {
    if (!commit.matches) return false;
    for (const { location, header } of commit.records) {
      const name = packName(location.pack);
      if (!(await isRecordSound(backend, name, location.position, header))) return false;
    }
  }
  const piece = await soundOr(undefined, async () => readImagePiece(await read(backend, last)));
  return piece?.isLast === true && piece.piece === pieces.length - 1;
}

function piecesOf({ records }: PendingCommit): PendingRecord[] {
  return records
    .filter(({ header }) => header.kind === RecordKind.image)
    .sort((one, other) => one.header.sequence - other.header.sequence);
}

/**
 * Returns the listings and events after an image whose own commit is lost. They are part of the next commit,
 * and the image does not cover them.
 */
function behindImage(
  { body, records }: PendingCommit,
  pieces: readonly PendingRecord[],
): PendingRecord[] {
  const last = pieces.at(-1)!;
  if (isWithin(last, body.ranges)) return [];
  return records
    .filter(({ header }) => header.sequence > last.header.sequence)
    .sort((one, other) => one.header.sequence - other.header.sequence);
}

/** Returns the newest image as the start of a rebuild; undefined if there is none. */
export function imageStart(backend: Backend, removals: Removals): HistoryStart | undefined {
  const { image, kept } = removals;
  if (image === undefined) return undefined;
  const pieces = piecesOf(image);
  return {
    point: image.point,
    counters: image.body.counters,
    packs: kept,
    removedPacks: NOTHING_REMOVED,
    removedObjects: [],
    records: pieces,
    later: behindImage(image, pieces),
    pieces: async function* () {
      for (const record of pieces) {
        yield await soundOr<readonly ImageItem[] | undefined>(undefined, async () => {
          return readImagePiece(await read(backend, record)).items;
        });
      }
    },
  };
}

export class HistoryLoader {
  damagedRecords = 0;
  isMetadataLost = false;
  /** Records of contents that do not match their checksums. */
  private readonly unsound: PendingRecord[] = [];
  readonly found: FoundContents;
  private readonly breathe = yieldRegularly();
  private readonly catalog: Catalog;
  private readonly backend: Backend;
  private readonly contents: ContentRecords;
  private readonly removals: Removals;

  constructor(catalog: Catalog, backend: Backend, contents: ContentRecords, removals: Removals) {
    this.catalog = catalog;
    this.backend = backend;
    this.contents = contents;
    this.removals = removals;
    this.found = new FoundContents(catalog, backend, contents, removals.objects);
  }

  /** Fills an empty catalog up to the commit of `start`, in a transaction of its own. */
  async load(start: HistoryStart, onPack: (pack: PackNumber) => void): Promise<void> {
    const { catalog } = this;
    catalog.begin();
    try {
      this.loadRemovals(start);
      const { head, objects, damaged } = await this.loadPieces(start);
      await this.loadContents(start, onPack);
      for (const digest of objects) {
        const removedIn = this.removals.objects.get(digestKey(digest)) ?? 0;
        if (removedIn > start.point.commit) continue;
        await this.breathe();
        await this.contents.applyObject(digest);
      }
      await this.found.load(await this.putBack(start));
      this.settleDamage();
      breakDependants(catalog);
      // A truncated pack has no damaged record left at its end, and a damaged index may name another digest. If
      // records were moved out of packs that were removed or cut since, later commits give their new places.
      // Then missing contents are counted after those commits.
      if (this.damagedRecords === 0 && !this.isMoved) {
        this.damagedRecords = catalog.history.brokenVersions;
      }
      for (const digest of damaged) {
        if (!this.found.has(digest)) applyDamage(catalog, digest);
      }
      if (head === undefined) this.isMetadataLost = true;
      else if (head.doubtfulUpTo > 0) catalog.state.writeDoubtfulUpTo(head.doubtfulUpTo);
      catalog.state.write(start.counters, start.point);
      noteImage(catalog, start.records);
      catalog.commit();
    } catch (error) {
      catalog.rollback();
      throw error;
    }
  }

  private loadRemovals({ removedPacks, removedObjects }: HistoryStart): void {
    const { gc } = this.catalog;
    for (const [pack, atMs] of removedPacks) gc.remove([pack], [], atMs);
    for (const [digest, atMs] of removedObjects) gc.remove([], [digest], atMs);
  }

  private async loadPieces(start: HistoryStart): Promise<SaidOfContents> {
    let head: ImageHead | undefined;
    const objects: Buffer[] = [];
    const damaged: Buffer[] = [];
    for await (const items of start.pieces()) {
      await this.breathe();
      if (items === undefined) {
        this.damagedRecords += 1;
        this.isMetadataLost = true;
        continue;
      }
      for (const item of items) {
        if (item.type === 'head') head = item;
        else if (item.type === 'objects') objects.push(...item.digests);
        else if (item.type === 'damaged') damaged.push(...item.digests);
        this.catalog.imageLoader.load(item, (rows, at) =>
          contentOfRow(this.catalog, rows, at, NOTHING_KNOWN),
        );
      }
    }
    this.catalog.directories.lookForUnplaced();
    return { head, objects, damaged };
  }

  /** Applies all content records of the packs that existed at the start, even those that no commit covers. */
  private async loadContents(
    start: HistoryStart,
    onPack: (pack: PackNumber) => void,
  ): Promise<void> {
    const there = await listPacks(this.backend);
    const first = start.point.pack;
    for (const pack of start.packs ?? []) {
      if (!there.includes(pack) && !isRemoved(this.removals, pack)) this.damagedRecords += 1;
    }
    for (const pack of there) {
      if (pack > first || isRemoved(this.removals, pack)) continue;
      onPack(pack);
      await this.loadPack(pack, pack === first ? start.point.position : Infinity);
    }
  }

  /**
   * Returns packs that the image does not name and that were not removed since, so that they must have been put
   * back.
   */
  private async putBack({ point }: HistoryStart): Promise<number[]> {
    const { removals, backend } = this;
    return (await listPacks(backend)).filter((pack) => {
      return pack < point.pack && isRemoved(removals, pack) && !removals.packs.has(pack);
    });
  }

  private async loadPack(pack: PackNumber, end: number): Promise<void> {
    for await (const scanned of scanPack(this.backend, pack, 0, true)) {
      if (scanned.position >= end) return;
      await this.breathe();
      const { header, index, position } = scanned;
      if (!isOfContents(header)) continue;
      const record = { header, index, location: { pack, position } };
      if (await isRecordSound(this.backend, packName(pack), position, header)) {
        const isApplied = await soundOr(false, async () => {
          await this.contents.apply(record, NO_PACKS);
          return true;
        });
        if (!isApplied) this.damagedRecords += 1;
        continue;
      }
      this.unsound.push(record);
    }
  }

  /** True if records were moved out of packs since the image was written. */
  private get isMoved(): boolean {
    return this.removals.hasCuts || this.removals.packs.size > 0;
  }

  /**
   * Counts and applies the damaged records whose contents are needed and not stored elsewhere. The other
   * damaged records are remains of a session that crashed.
   */
  private settleDamage(): void {
    for (const record of this.unsound) {
      if (!this.isLacking(record)) continue;
      // A later commit may give the new place of the contents; `lackingRecords` counts the record then.
      if (!this.isMoved) this.damagedRecords += 1;
      this.contents.applyUnsound(record);
    }
  }

  /**
   * Number of damaged records that were not counted when the history was loaded, and that have contents not
   * stored elsewhere. It is 0 if every version that a set shows can still be read.
   */
  get lackingRecords(): number {
    if (!this.isMoved || this.unsound.length === 0) return 0;
    if (this.catalog.history.unreadableVersions === 0) return 0;
    const seen = new Set<string>();
    return this.unsound.filter((record) => {
      const before = seen.size;
      for (const digest of this.lackingOf(record)) seen.add(digestKey(digest));
      return seen.size > before;
    }).length;
  }

  private isLacking(record: PendingRecord): boolean {
    return this.lackingOf(record).length > 0;
  }

  private lackingOf({ header, index }: PendingRecord): Buffer[] {
    const { contents } = this.catalog;
    return digestsIn(header, index).filter((digest) => contents.find(digest)?.isStored === false);
  }
}

/** Records the place of an image if the records contain one. */
export function noteImage(catalog: Catalog, records: readonly PendingRecord[]): void {
  const pieces = records.filter(({ header }) => header.kind === RecordKind.image);
  const first = pieces[0];
  if (first === undefined) return;
  const bytes = pieces.reduce((sum, { header }) => sum + recordBytes(header), 0);
  catalog.state.writeImage({ ...first.location, bytes });
}

function read(backend: Backend, { header, location }: PendingRecord) {
  return readRecord(backend, packName(location.pack), location.position, recordBytes(header));
}
