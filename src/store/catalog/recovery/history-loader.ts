/** Loads the state that a rebuild begins with into an empty catalog, and then the contents of the packs. */
import { digestKey, type PackNumber } from '../../../model/index.js';
import {
  type Backend,
  type ImageHead,
  isOfContents,
  isRecordSound,
  listPacks,
  packName,
  recordBytes,
  RecordKind,
  scanPack,
} from '../../index.js';
import { yieldRegularly } from '../../../system/index.js';
import { type KnownContents, applyDamage, breakDependants, contentOfRow } from './apply.js';
import { digestsIn } from '../content-records.js';
import type { ContentRecords } from './apply-records.js';
import type { Catalog } from '../catalog.js';
import type { PendingRecord } from './commit-walk.js';
import { FoundContents, soundOr } from './found-contents.js';
import type { HistoryStart } from './from-image.js';
import { isRemoved, type Removals } from './removals.js';

/** Data about contents in an image that no table of the catalog holds. */
interface ContentFacts {
  readonly head: ImageHead | undefined;
  readonly objects: readonly Buffer[];
  readonly damaged: readonly Buffer[];
}

const NOTHING_KNOWN: KnownContents = new Map();

export class HistoryLoader {
  damagedRecords = 0;
  isMetadataLost = false;
  /** Records of contents that do not match their checksums. */
  private readonly unsound: PendingRecord[] = [];
  readonly found: FoundContents;
  private readonly breathe = yieldRegularly();

  constructor(
    private readonly catalog: Catalog,
    private readonly backend: Backend,
    private readonly contents: ContentRecords,
    private readonly removals: Removals,
  ) {
    this.found = new FoundContents(catalog, backend, contents, removals.objects);
  }

  /** Fills an empty catalog up to the commit of `start`, in a transaction of its own. */
  async load(start: HistoryStart, onPack: (pack: PackNumber) => void): Promise<void> {
    const { catalog } = this;
    await catalog.transact(async () => {
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
      // Damaged records alone do not show every loss: a truncated pack has none at its end, and a damaged index may
      // name another digest. So versions without contents are counted. If records were moved out of packs since the
      // image, later commits give their new places, and missing contents are counted after those commits.
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
    });
  }

  private loadRemovals({ removedPacks, removedObjects }: HistoryStart): void {
    const { gc } = this.catalog;
    for (const [pack, atMs] of removedPacks) gc.remove([pack], [], atMs);
    for (const [digest, atMs] of removedObjects) gc.remove([], [digest], atMs);
  }

  private async loadPieces(start: HistoryStart): Promise<ContentFacts> {
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

  /**
   * Applies all content records of the packs that existed at the start, even those that no commit covers. Counts a pack
   * that is missing, although it was not removed, as a damaged record.
   */
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
   * Returns packs that the image does not name, and that no event has removed since. Someone must have put them back.
   */
  private async putBack({ point }: HistoryStart): Promise<PackNumber[]> {
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
          await this.contents.apply(record);
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
   * Number of damaged records that were not counted when the history was loaded, and whose contents are not stored
   * elsewhere. It is 0 if every version that a set shows can be read.
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
