/**
 * Compaction: packs in which much is no longer needed are written anew, without it. What is needed goes to the end
 * of the newest pack, is read back from the disk, and only then an event says that the old packs are removed, in the
 * same commit as an image that stands for the listings and events in them.
 */
import { applyContentRecord, applyEvent, type RecordUse } from '../catalog/index.js';
import { TardisError } from '../errors/index.js';
import { digestKey } from '../model/index.js';
import {
  type Backend,
  buildEvent,
  isRecordSound,
  type Location,
  listPacks,
  packName,
  readFrameIndex,
  readHeader,
  RECORD_HEADER_BYTES,
  recordBytes,
  type RecordHeader,
  RecordKind,
  scanPack,
  type StoreEvent,
} from '../store/index.js';
import type { ClientStore } from './client-store.js';
import { appendImage } from './image-writer.js';
import { FrameRemaker, type FrameTools, proveFrame, type RemadeFrame } from './remake.js';
import { type Breathe, measureRecords } from './survey.js';

const SLICE_ROWS = 2048;
const COPY_BYTES = 1 << 20;
/** Copied between two checkpoints: what is lost when the work is broken off. */
const CHECKPOINT_BYTES = 64 << 20;
/** A frame of which less than this share is needed is made anew. */
const WORTH_REMAKING = 0.75;

export interface CompactOptions {
  /** A pack of which at least this share is not needed is written anew. */
  readonly wasteRatio: number;
  /** Undefined: frames cannot be opened, since nobody gave the keys; they move as they are. */
  readonly frames: FrameTools | undefined;
  readonly nowMs: number;
  readonly breathe: Breathe;
  readonly onProgress: (packs: number, of: number) => void;
}

export interface CompactReport {
  /** Packs that were written anew. */
  readonly packs: number;
  readonly freedBytes: number;
}

/** What is in a pack. */
interface PackUse {
  readonly pack: number;
  readonly sizeBytes: number;
  /** Of contents that are needed. */
  neededBytes: number;
  readonly records: RecordUse[];
}

/** Written anew: what must be proven before the old bytes may go. */
interface Moved {
  readonly copies: { location: Location; header: RecordHeader }[];
  readonly frames: RemadeFrame[];
}

export async function compact(store: ClientStore, options: CompactOptions): Promise<CompactReport> {
  const used = await measureRecords(store.catalog, options.breathe);
  const victims = await chooseVictims(store, used, options);
  if (victims.length === 0) return { packs: 0, freedBytes: 0 };
  const before = store.packs.appendedBytes;
  await new Compaction(store, options, used, victims).run();
  const oldBytes = victims.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return {
    packs: victims.length,
    freedBytes: Math.max(0, oldBytes - (store.packs.appendedBytes - before)),
  };
}

/** Packs that no session and no recovery looks at any more, and of which enough is not needed. */
async function chooseVictims(
  store: ClientStore,
  used: ReadonlyMap<number, number>,
  { wasteRatio, breathe, frames }: CompactOptions,
): Promise<PackUse[]> {
  const { upkeep, state } = store.catalog;
  const kept = new Set([
    ...upkeep.removedPacks(),
    ...upkeep.damagedPacks(), // a content there may prove sound
    store.commitPoint.pack,
  ]);
  const uses = new Map<number, PackUse>();
  for (const pack of await listPacks(store.backend)) {
    if (kept.has(pack) || pack >= store.firstOwnPack) continue;
    const sizeBytes = (await store.backend.size(packName(pack))) ?? 0;
    uses.set(pack, { pack, sizeBytes, neededBytes: 0, records: [] });
  }
  for (let after = 0; ; ) {
    const page = upkeep.records(after, SLICE_ROWS);
    for (const record of page) {
      const use = uses.get(record[2]);
      if (use === undefined) continue;
      use.neededBytes += neededOf(record, used, frames !== undefined);
      use.records.push(record);
    }
    if (page.length < SLICE_ROWS) break;
    after = page.at(-1)![0];
    await breathe();
  }
  const image = state.readImage();
  const metadata = await metadataBehind(store, image.pack, uses.keys(), breathe);
  const victims = [...uses.values()].filter(({ pack, sizeBytes, neededBytes }) => {
    const wasted = sizeBytes - neededBytes - (metadata.get(pack) ?? 0);
    return wasted >= wasteRatio * sizeBytes;
  });
  return isWorthAnImage(victims, metadata) ? victims.sort((a, b) => a.pack - b.pack) : [];
}

/** Bytes of a record that are needed, as far as the others can be left out. */
function neededOf(
  [recordId, kind, , , bytes, rawBytes]: Readonly<RecordUse>,
  used: ReadonlyMap<number, number>,
  opensFrames: boolean,
): number {
  const usedBytes = used.get(recordId);
  if (usedBytes === undefined) return 0;
  if (kind !== RecordKind.frame || !opensFrames) return bytes;
  return isWorthRemaking(usedBytes, rawBytes) ? bytes * (usedBytes / rawBytes) : bytes;
}

function isWorthRemaking(usedBytes: number, rawBytes: number): boolean {
  return usedBytes < WORTH_REMAKING * rawBytes;
}

/**
 * What listings, events, images and commits take in packs behind the newest image: all of it is needed until the
 * next one. In packs before it none is.
 */
async function metadataBehind(
  { backend, catalog }: ClientStore,
  imagePack: number,
  packs: Iterable<number>,
  breathe: Breathe,
): Promise<ReadonlyMap<number, number>> {
  const metadata = new Map<number, number>();
  for (const pack of packs) {
    if (pack < imagePack) continue;
    let bytes = catalog.upkeep.metadataBytes(pack);
    if (bytes === undefined) {
      bytes = 0;
      for await (const { header } of scanPack(backend, pack, 0)) {
        if (header.sequence > 0) bytes += recordBytes(header);
        await breathe();
      }
      catalog.upkeep.putMetadataBytes(pack, bytes);
    }
    metadata.set(pack, bytes);
  }
  return metadata;
}

/** An image says all that the listings and events before it say: it must not take more than it frees. */
function isWorthAnImage(
  victims: readonly PackUse[],
  metadata: ReadonlyMap<number, number>,
): boolean {
  if (!victims.some(({ pack }) => metadata.has(pack))) return victims.length > 0;
  const freed = victims.reduce(
    (sum, { sizeBytes, neededBytes }) => sum + sizeBytes - neededBytes,
    0,
  );
  const lasting = [...metadata.values()].reduce((sum, bytes) => sum + bytes, 0);
  return freed > lasting;
}

class Compaction {
  private moved: Moved = { copies: [], frames: [] };
  private sinceCheckpoint = 0;
  private readonly packs: ReadonlySet<number>;
  private readonly store: ClientStore;
  private readonly options: CompactOptions;
  private readonly used: ReadonlyMap<number, number>;
  private readonly victims: readonly PackUse[];

  constructor(
    store: ClientStore,
    options: CompactOptions,
    used: ReadonlyMap<number, number>,
    victims: readonly PackUse[],
  ) {
    this.store = store;
    this.options = options;
    this.used = used;
    this.victims = victims;
    this.packs = new Set(victims.map(({ pack }) => pack));
  }

  async run(): Promise<void> {
    const { store, options, victims } = this;
    const { frames } = options;
    const remaker = frames && new FrameRemaker(store, frames, this.packs);
    this.begin();
    for (const [index, victim] of victims.entries()) {
      options.onProgress(index, victims.length);
      for (const record of victim.records.toSorted((one, other) => one[3] - other[3])) {
        await options.breathe();
        await this.move(record, remaker);
      }
    }
    for (const frame of remaker?.finish() ?? []) this.moved.frames.push(frame);
    await this.settle();
    await this.requireEmpty();
    await this.remove();
    options.onProgress(victims.length, victims.length);
  }

  private async move(record: RecordUse, remaker: FrameRemaker | undefined): Promise<void> {
    const [recordId, kind, , , bytes, rawBytes] = record;
    const usedBytes = this.used.get(recordId);
    if (usedBytes === undefined) return;
    if (
      kind === RecordKind.frame &&
      remaker !== undefined &&
      isWorthRemaking(usedBytes, rawBytes)
    ) {
      this.moved.frames.push(...(await remaker.take(record)));
    } else await this.copy(record);
    this.sinceCheckpoint += bytes;
    if (this.sinceCheckpoint < CHECKPOINT_BYTES) return;
    for (const frame of remaker?.finish() ?? []) this.moved.frames.push(frame);
    await this.settle();
    this.begin();
  }

  /** Says in each commit what its contents take the place of, for who has to replay it. */
  private begin(): void {
    const event: StoreEvent = { type: 'moved', packs: [...this.packs] };
    this.store.appendOwn(buildEvent(this.store.nextSequence(), event));
  }

  private async copy([, , pack, position, bytes]: Readonly<RecordUse>): Promise<void> {
    const { backend, catalog, packs } = this.store;
    const name = packName(pack);
    const start = Buffer.alloc(RECORD_HEADER_BYTES);
    await backend.read(name, position, start, start.length);
    const header = readHeader(start, 0);
    const isSound =
      header !== undefined &&
      recordBytes(header) === bytes &&
      (await isRecordSound(backend, name, position, header));
    if (!isSound) {
      throw new TardisError('RECORD_DAMAGED', `a record in ${name} is damaged`, { position });
    }
    const location = await packs.appendStaged(piecesOf(backend, name, position, bytes));
    const index = Buffer.alloc(header.indexBytes);
    await backend.read(name, position + RECORD_HEADER_BYTES, index, index.length);
    const body = Buffer.alloc(header.kind === RecordKind.assembly ? header.bodyBytes : 0);
    await backend.read(name, position + RECORD_HEADER_BYTES + index.length, body, body.length);
    const { contents, upkeep } = catalog;
    const forgotten =
      header.kind === RecordKind.frame
        ? readFrameIndex(header, index).filter(({ digest }) => contents.find(digest) === undefined)
        : [];
    const ids = applyContentRecord(catalog, header, index, location, body, this.packs);
    for (const { digest } of forgotten) upkeep.dropContent(ids.get(digestKey(digest))!);
    this.moved.copies.push({ location, header });
  }

  /** Makes what was moved durable, and reads it back: from here on it is what counts. */
  private async settle(): Promise<void> {
    const { store, options } = this;
    await store.checkpoint();
    const { copies, frames } = this.moved;
    this.moved = { copies: [], frames: [] };
    this.sinceCheckpoint = 0;
    for (const { location, header } of copies) {
      await options.breathe();
      const name = packName(location.pack);
      if (await isRecordSound(store.backend, name, location.position, header)) continue;
      throw new TardisError('RECORD_DAMAGED', `what was just written to ${name} is wrong`);
    }
    for (const frame of frames) {
      await options.breathe();
      await proveFrame(store.backend, options.frames!, frame);
    }
  }

  /** No content may be left in what goes: looked up, not concluded. */
  private async requireEmpty(): Promise<void> {
    const { catalog } = this.store;
    const used = await measureRecords(catalog, this.options.breathe);
    for (let after = 0; ; ) {
      const page = catalog.upkeep.records(after, SLICE_ROWS);
      for (const [recordId, , pack] of page) {
        if (!this.packs.has(pack) || !used.has(recordId)) continue;
        throw new TardisError('INTERNAL', `${packName(pack)} still holds what is needed`);
      }
      if (page.length < SLICE_ROWS) return;
      after = page.at(-1)![0];
      await this.options.breathe();
    }
  }

  /** One commit: an image, and the event that the packs are removed. Their files go later. */
  private async remove(): Promise<void> {
    const { store, options, packs } = this;
    const removed = [...packs];
    if (removed.some((pack) => pack >= store.catalog.state.readImage().pack)) {
      await appendImage(store, packs, options.breathe);
    }
    const event: StoreEvent = { type: 'removed', packs: removed, objects: [], atMs: options.nowMs };
    store.appendOwn(buildEvent(store.nextSequence(), event));
    applyEvent(store.catalog, event);
    await store.checkpoint();
  }
}

async function* piecesOf(
  backend: Backend,
  name: string,
  position: number,
  bytes: number,
): AsyncGenerator<Buffer> {
  const buffer = Buffer.allocUnsafe(Math.min(COPY_BYTES, bytes));
  for (let at = 0; at < bytes; ) {
    const got = await backend.read(
      name,
      position + at,
      buffer,
      Math.min(buffer.length, bytes - at),
    );
    if (got === 0) throw new TardisError('RECORD_DAMAGED', `${name} is cut off`);
    yield buffer.subarray(0, got);
    at += got;
  }
}
