/**
 * Rewrites packs that contain much unneeded data, without that data.
 *
 * - Packs without any needed data are removed first. Then come packs that free most for each byte written, in rounds
 *   that fit into the free space.
 * - The new records are read back from the disk before an event removes the old packs. If needed, the same commit has
 *   an image, which replaces their listings and events.
 * - Many small packs, as frequent sets leave them, are merged if an image takes fewer bytes than they do.
 * - A pack that does not fit as a whole is moved piece by piece from its end, and truncated after each piece.
 */
import {
  fetchHeader,
  fetchIndex,
  fetchRecord,
  requireSound,
  storedBytes,
} from '../../contents/index.js';
import { recordDamaged, TardisError } from '../../errors/index.js';
import { digestKey, formatBytes, type PackNumber, type RecordId } from '../../model/index.js';
import {
  applyContentRecord,
  breakDependants,
  type IdSet,
  measureRecords,
  type RecordUse,
} from '../../store/catalog/index.js';
import {
  isRecordSound,
  type Location,
  packName,
  readFrameIndex,
  RECORD_HEADER_BYTES,
  type RecordHeader,
  RecordKind,
} from '../../store/index.js';
import type { StoreWriter } from '../../store/writer/index.js';
import type { Headroom } from './headroom.js';
import { appendImage, measureImage } from './image-writer.js';
import {
  byYield,
  isWorthRepacking,
  measurePacks,
  neededOf,
  type PackUse,
  wastedBytes,
} from './pack-uses.js';
import { FrameRepacker, type FrameTools, proveFrame, type RepackedFrame } from './repack-frames.js';
import type { Breathe } from './survey.js';

/** Minimum share of unneeded bytes for which a pack is rewritten if space is short. */
const LEAST_WASTE_RATIO = 0.01;
/** Number of small packs from which on they are merged, since each costs a check and a rebuild its time. */
const MANY_SMALL_PACKS = 64;
const SMALL_PACK_BYTES = 256 << 10;
/** Bytes that a pack takes beside its size: ends of blocks, and its parity. */
const FILE_BYTES = 8 << 10;
/** An image takes at least this part of the catalog, so that one which cannot be worth it is not measured. */
const LEAST_IMAGE_PART = 8;
/** Maximum number of bytes moved at once from the end of a pack that does not fit as a whole. */
const MAX_PIECE_BYTES = 64 << 20;
/**
 * Divisor of the available space that gives the size of the first piece. If truncating frees nothing, only this space
 * is lost.
 */
const FIRST_PIECE_PART = 8;
/** Maximum size of a piece, as a multiple of the largest piece whose cut freed space. */
const PIECE_GROWTH = 2;
/**
 * Minimum number of bytes in a cut for judging if it freed space. A smaller cut may seem to free less because of block
 * sizes, or because other processes write meanwhile.
 */
const SHOWING_BYTES = 256 << 10;

interface RewriteOptions extends Omit<MoverOptions, 'used'> {
  /** Minimum share of unneeded bytes for which a pack is rewritten. */
  readonly wasteRatio: number;
  readonly nowMs: number;
  readonly headroom: Headroom;
  readonly onProgress: (packs: number, of: number) => void;
  /** Deletes the files of removed packs that are due. */
  readonly onRemoved: () => Promise<void>;
}

interface RewriteReport {
  /** Number of packs that were rewritten. */
  readonly packs: number;
  readonly freedBytes: number;
}

/** Rewrites packs to free space. Throws DISK_FULL if space is short, and no rewrite that would free some fits. */
export async function rewritePacks(
  store: StoreWriter,
  options: RewriteOptions,
): Promise<RewriteReport> {
  const { breathe, frames, needed, wasteRatio } = options;
  const used = await measureRecords(store.catalog, breathe, needed);
  const measuring = { opensFrames: frames !== undefined, wasteRatio, breathe };
  const packs = await measurePacks(store, used, measuring);
  await store.checkpoint(); // makes the measured metadata sizes durable, so that they need not be measured again
  return new Compaction(store, { ...options, used }, packs).run();
}

class Compaction {
  private left: PackUse[];
  private done = 0;
  private freedBytes = 0;
  /** The first pack with a record that did not fit. */
  private tooLarge: PackUse | undefined;
  /** False after a cut has freed less than half of its bytes. */
  private cutsFree = true;
  /** Size in bytes of the largest piece whose cut freed space. */
  private provenBytes = 0;
  /** Bytes that a new image would take; undefined until measured. */
  private imageBytes: number | undefined;

  constructor(
    private readonly store: StoreWriter,
    private readonly options: RewriteOptions & MoverOptions,
    packs: readonly PackUse[],
  ) {
    this.left = packs.toSorted(byYield);
  }

  async run(): Promise<RewriteReport> {
    const { packs: written } = this.store;
    const before = written.appendedBytes;
    for (;;) {
      await this.options.headroom.settle();
      const candidates = await this.candidates();
      const [first] = candidates;
      if (first === undefined) break;
      this.options.onProgress(this.done, this.done + candidates.length);
      await this.round(candidates, first);
    }
    this.options.onProgress(this.done, this.done);
    if (this.tooLarge !== undefined && this.options.headroom.isShort) {
      throw this.full(wastedBytes(this.tooLarge), this.tooLarge.neededBytes);
    }
    const freedBytes = Math.max(0, this.freedBytes - (written.appendedBytes - before));
    return { packs: this.done, freedBytes };
  }

  /**
   * Returns the packs that are worth a rewrite, sorted by the bytes freed for each byte written, most first. If space
   * is short, an image that does not fit leaves out the packs that need one. Throws DISK_FULL if there is no space even to begin.
   */
  private async candidates(): Promise<PackUse[]> {
    const { wasteRatio, headroom } = this.options;
    const ratio = headroom.isShort ? Math.min(LEAST_WASTE_RATIO, wasteRatio) : wasteRatio;
    const wasteful = this.left.filter((pack) => wastedBytes(pack) >= ratio * pack.sizeBytes);
    const merged = headroom.isShort ? undefined : await this.withSmallPacks(new Set(wasteful));
    if (merged !== undefined) return merged;
    const free = wasteful.filter(({ pack }) => pack < this.imagePack);
    if (free.length === wasteful.length) return wasteful;
    if (!headroom.isShort) return this.isWorthAnImage(wasteful) ? wasteful : [];
    const imageBytes = await this.measuredImage();
    const freed = wasteful.reduce((sum, pack) => sum + pack.sizeBytes - pack.neededBytes, 0);
    if (freed <= imageBytes) return free;
    if (headroom.bytes >= imageBytes) return wasteful;
    if (free.length > 0) return free;
    throw this.full(freed, imageBytes);
  }

  /**
   * Returns the wasteful packs with all small ones, if there are many of these and a merge frees more bytes than the
   * image that it may need; otherwise undefined. Packs of a bucket are not merged: their listings stay.
   */
  private async withSmallPacks(wasteful: ReadonlySet<PackUse>): Promise<PackUse[] | undefined> {
    const { catalog, isShared } = this.store;
    const isSmall = ({ sizeBytes }: PackUse): boolean => sizeBytes < SMALL_PACK_BYTES;
    if (isShared || this.left.filter(isSmall).length < MANY_SMALL_PACKS) return undefined;
    const packs = this.left.filter((pack) => isSmall(pack) || wasteful.has(pack));
    if (packs.every(({ pack }) => pack < this.imagePack)) return packs;
    const freed = packs.reduce(
      (sum, { sizeBytes, neededBytes }) => sum + sizeBytes - neededBytes + FILE_BYTES,
      0,
    );
    if (freed * LEAST_IMAGE_PART < catalog.usedBytes) return undefined;
    return freed > (await this.measuredImage()) ? packs : undefined;
  }

  private full(freedBytes: number, neededBytes: number): TardisError {
    const { reserve } = this.store;
    const { message, context } = reserve.full();
    const why = `${formatBytes(freedBytes)} that no set needs would be freed, which takes ${formatBytes(neededBytes)} first`;
    return new TardisError('DISK_FULL', `${message}; ${why}`, context);
  }

  /** First pack whose removal needs a new image; Infinity in a shared store, whose log keeps all listings. */
  private get imagePack(): PackNumber {
    const { catalog, isShared } = this.store;
    return isShared ? Infinity : catalog.state.readImage().pack;
  }

  private async measuredImage(): Promise<number> {
    this.imageBytes ??= await measureImage(this.store, this.options.breathe);
    return this.imageBytes;
  }

  /**
   * True if an image takes fewer bytes than it frees. The size of the present listings and events is its upper bound,
   * since it contains the same facts.
   */
  private isWorthAnImage(packs: readonly PackUse[]): boolean {
    const freed = packs.reduce((sum, pack) => sum + pack.sizeBytes - pack.neededBytes, 0);
    const lasting = this.left.reduce((sum, { metadataBytes }) => sum + metadataBytes, 0);
    return freed > lasting;
  }

  /** Writes an image. The listings and events of earlier packs are then unneeded. */
  private async writeImage(without: ReadonlySet<PackNumber>): Promise<void> {
    await appendImage(this.store, without, this.options.breathe);
    for (const pack of this.left) pack.metadataBytes = 0;
  }

  private async round(candidates: readonly PackUse[], first: PackUse): Promise<void> {
    const { headroom } = this.options;
    const needsImage = candidates.some(({ pack }) => pack >= this.imagePack);
    const forImage = needsImage && headroom.isShort ? await this.measuredImage() : 0;
    const roomBytes = headroom.bytes - forImage;
    const dead = candidates.filter(({ neededBytes }) => neededBytes === 0);
    if (dead.length > 0) return this.rewrite(dead, forImage);
    const fitting: PackUse[] = [];
    let sum = 0;
    for (const pack of candidates) {
      if (sum + pack.neededBytes > roomBytes) continue;
      sum += pack.neededBytes;
      fitting.push(pack);
    }
    if (fitting.length > 0) return this.rewrite(fitting, sum + forImage);
    if (headroom.graceMs === 0 && !this.store.isShared && (await this.moveInPieces(first))) return;
    this.left = this.left.filter((one) => one !== first);
    this.tooLarge ??= first;
  }

  /** Rewrites packs, and removes the old ones. */
  private async rewrite(packs: readonly PackUse[], bytes: number): Promise<void> {
    const { store, options } = this;
    await options.headroom.lend(bytes);
    const numbers = new Set(packs.map(({ pack }) => pack));
    const mover = new RecordMover(store, options, numbers);
    for (const { records } of packs.toSorted((one, other) => one.pack - other.pack)) {
      await mover.move(records);
    }
    if (packs.some(({ neededBytes }) => neededBytes > 0)) await mover.settle();
    await this.requireEmpty((pack) => numbers.has(pack));
    await this.remove(numbers);
    this.left = this.left.filter(({ pack }) => !numbers.has(pack));
    this.done += packs.length;
    this.freedBytes += packs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    await options.onRemoved();
  }

  /**
   * Moves the needed records of a pack in pieces that fit, from its end, and truncates the pack after each piece.
   * Writes an image first if the pack has needed listings or events. Returns false if a record is larger than the free
   * space, or if truncating frees no space.
   */
  private async moveInPieces(use: PackUse): Promise<boolean> {
    const { store, options } = this;
    const { headroom } = options;
    if (use.pack >= this.imagePack) {
      await headroom.lend(await this.measuredImage());
      await this.writeImage(new Set());
      await store.checkpoint();
    }
    const records = use.records.toSorted((one, other) => one[3] - other[3]);
    while (use.neededBytes > headroom.bytes) {
      if (!this.cutsFree) return false;
      const piece = this.takePiece(records);
      const last = records.at(-1);
      const to = last === undefined ? 0 : last[3] + last[4];
      if (to >= use.sizeBytes) return false;
      const pieceBytes = this.costOf(piece);
      await headroom.lend(pieceBytes);
      const mover = new RecordMover(store, options, new Set([use.pack]));
      await mover.move(piece);
      if (piece.length > 0) await mover.settle();
      const cutBytes = use.sizeBytes - to;
      await this.cut(use.pack, to, { cutBytes, pieceBytes });
      this.freedBytes += cutBytes;
      Object.assign(use, { sizeBytes: to, neededBytes: this.costOf(records), records });
    }
    await this.rewrite([use], use.neededBytes);
    return true;
  }

  /**
   * Removes the records of the next piece from the end of a list, and returns them. The first pieces are small; each
   * may be larger once a cut has freed space.
   */
  private takePiece(records: RecordUse[]): RecordUse[] {
    const most = Math.min(this.options.headroom.bytes, MAX_PIECE_BYTES);
    const wanted = Math.max(most / FIRST_PIECE_PART, PIECE_GROWTH * this.provenBytes);
    const piece: RecordUse[] = [];
    let sum = 0;
    for (let last = records.at(-1); last !== undefined; last = records.at(-1)) {
      sum += this.costOf([last]);
      if (sum > (piece.length === 0 ? most : Math.min(most, wanted))) break;
      piece.push(records.pop()!);
    }
    return piece;
  }

  private costOf(records: readonly RecordUse[]): number {
    const { used, frames } = this.options;
    return records.reduce((sum, one) => sum + neededOf(one, used, frames !== undefined), 0);
  }

  /**
   * Truncates a pack after its last needed record. Before that, an event that records the cut is made durable. A cut of
   * enough bytes shows if cuts free space. On btrfs they may not: it keeps the blocks of an extent until all of them
   * are free, and a pack has short extents and long ones.
   */
  private async cut(
    pack: PackNumber,
    to: number,
    { cutBytes, pieceBytes }: { cutBytes: number; pieceBytes: number },
  ): Promise<void> {
    const { store } = this;
    const { headroom } = this.options;
    await this.requireEmpty((one, position) => one === pack && position >= to);
    store.writeEvent({ type: 'cut', pack, to });
    await store.checkpoint();
    const shows = cutBytes >= SHOWING_BYTES;
    if (shows) await headroom.settle();
    const { freeBytes } = store.reserve;
    await store.backend.shorten(packName(pack), to);
    await headroom.settle();
    if (!shows) return;
    this.cutsFree = store.reserve.freeBytes - freeBytes >= cutBytes / 2;
    if (this.cutsFree) this.provenBytes = Math.max(this.provenBytes, pieceBytes);
  }

  /** Throws INTERNAL if the catalog still has a needed content at a place that is to be removed. */
  private async requireEmpty(goes: (pack: PackNumber, position: number) => boolean): Promise<void> {
    const { catalog } = this.store;
    const { breathe, needed } = this.options;
    const used = await measureRecords(catalog, breathe, needed);
    for (const page of catalog.gc.records()) {
      for (const [recordId, , pack, position] of page) {
        if (!goes(pack, position) || !used.has(recordId)) continue;
        throw new TardisError('INTERNAL', `${packName(pack)} still holds what is needed`);
      }
      await breathe();
    }
  }

  /**
   * Commits the removal of packs: an image if one is needed, and the event that removes the packs. Their files
   * are deleted later.
   */
  private async remove(packs: ReadonlySet<PackNumber>): Promise<void> {
    const { store, options } = this;
    const removed = [...packs].sort((one, other) => one - other);
    if (removed.some((pack) => pack >= this.imagePack)) {
      await this.writeImage(packs);
    }
    store.writeEvent({ type: 'removed', packs: removed, objects: [], atMs: options.nowMs });
    if (store.isShared) breakDependants(store.catalog); // an unneeded content may depend on one that was removed
    await store.checkpoint();
  }
}

interface MoverOptions {
  /** Tools to open frames; undefined if no keys were given. Frames are then copied as they are. */
  readonly frames: FrameTools | undefined;
  readonly breathe: Breathe;
  /** Number of needed decoded bytes of each record, by record id. */
  readonly used: ReadonlyMap<RecordId, number>;
  /** Needed contents in a shared store. Undefined in any other store, where all known contents are needed. */
  readonly needed: IdSet | undefined;
}

/** Copied records and repacked frames, which must be checked before the old bytes are removed. */
interface Moved {
  readonly copies: { location: Location; header: RecordHeader }[];
  readonly frames: RepackedFrame[];
}

/**
 * Copies needed records to the end of the newest pack. Frames of which little is needed are repacked. All copies are
 * synced and read back before they replace the old records.
 */
class RecordMover {
  private moved: Moved = { copies: [], frames: [] };
  /** True once a record was moved since the last checkpoint. */
  private isBegun = false;
  private readonly repacker: FrameRepacker | undefined;

  /** Creates a mover for records of the packs `packs`. */
  constructor(
    private readonly store: StoreWriter,
    private readonly options: MoverOptions,
    private readonly packs: ReadonlySet<PackNumber>,
  ) {
    this.repacker =
      options.frames && new FrameRepacker(store, options.frames, packs, options.needed);
  }

  /** Moves records of one pack. Throws RECORD_DAMAGED if a record that must be copied is damaged. */
  async move(records: readonly RecordUse[]): Promise<void> {
    for (const record of records.toSorted((one, other) => one[3] - other[3])) {
      await this.options.breathe();
      await this.moveOne(record);
    }
  }

  /**
   * Makes the moved records durable and reads them back. After that they replace the old ones. Throws RECORD_DAMAGED if
   * the bytes that were read differ.
   */
  async settle(): Promise<void> {
    const { store, options } = this;
    for (const frame of this.repacker?.finish() ?? []) this.moved.frames.push(frame);
    await store.checkpoint();
    const { copies, frames } = this.moved;
    this.moved = { copies: [], frames: [] };
    this.isBegun = false;
    for (const { location, header } of copies) {
      await options.breathe();
      const name = packName(location.pack);
      if (await isRecordSound(store.backend, name, location.position, header)) continue;
      throw recordDamaged(`what was just written to ${name} is wrong`);
    }
    for (const frame of frames) {
      await options.breathe();
      await proveFrame(store.backend, options.frames!, frame);
    }
  }

  /**
   * Appends an event with the packs whose contents this commit replaces. A recovery that replays the commit needs it.
   */
  private begin(): void {
    if (this.isBegun) return;
    this.isBegun = true;
    this.store.appendEvent({ type: 'moved', packs: [...this.packs] });
  }

  private async moveOne(record: RecordUse): Promise<void> {
    const [recordId, kind, , , , rawBytes] = record;
    const usedBytes = this.options.used.get(recordId);
    if (usedBytes === undefined) return;
    this.begin();
    const { repacker } = this;
    const isRepacked =
      kind === RecordKind.frame && repacker !== undefined && isWorthRepacking(usedBytes, rawBytes);
    const frames = isRepacked ? await repacker.take(record) : undefined;
    if (frames === undefined) await this.copy(record);
    else this.moved.frames.push(...frames);
    if (this.store.isCheckpointDue) await this.settle();
  }

  private async copy([, , pack, position, recordBytes]: Readonly<RecordUse>): Promise<void> {
    const { backend, catalog, packs } = this.store;
    const place = { object: packName(pack), position, recordBytes };
    const header = await fetchHeader(backend, place);
    await requireSound(backend, place, header);
    const location = await packs.appendStaged(storedBytes(backend, place));
    const index = await fetchIndex(backend, place, header);
    const body = Buffer.alloc(header.kind === RecordKind.assembly ? header.bodyBytes : 0);
    await fetchRecord(backend, place, RECORD_HEADER_BYTES + index.length, body);
    const { contents, gc } = catalog;
    // In a shared store no content of the frame may be forgotten, since other machines read all contents of the new
    // record.
    const forgotten =
      header.kind === RecordKind.frame && !this.store.isShared
        ? readFrameIndex(header, index).filter(({ digest }) => contents.find(digest) === undefined)
        : [];
    const ids = applyContentRecord(catalog, header, index, { location, body, moved: this.packs });
    for (const { digest } of forgotten) gc.dropContent(ids.get(digestKey(digest))!);
    this.moved.copies.push({ location, header });
  }
}
