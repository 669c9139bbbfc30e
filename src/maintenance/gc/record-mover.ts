/**
 * Copies needed records to the end of the newest pack. Frames of which little is needed are repacked. All copies are
 * synced and read back before they replace the old records.
 */
import {
  fetchHeader,
  fetchIndex,
  fetchRecord,
  requireSound,
  storedBytes,
} from '../../contents/index.js';
import { applyContentRecord, type IdSet, type RecordUse } from '../../store/catalog/index.js';
import { recordDamaged } from '../../errors/index.js';
import { digestKey, type PackNumber, type RecordId } from '../../model/index.js';
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
import { isWorthRepacking } from './pack-uses.js';
import { FrameRepacker, type FrameTools, proveFrame, type RepackedFrame } from './repack-frames.js';
import type { Breathe } from './survey.js';

export interface MoverOptions {
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

export class RecordMover {
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
