/**
 * Repacks frames of which only some contents are still needed. Needed contents of several such frames share a new
 * frame. If the client encrypts, each frame becomes one of its own: frames may have files of different owners, which are
 * not compressed together, and neither a record nor a digest shows the owner. Each old frame is decoded, and its needed contents are checked by their digests and encoded again.
 */
import { TardisError } from '../../errors/index.js';
import { applyContentRecord, type IdSet, type RecordUse } from '../../store/catalog/index.js';
import { fetchRecord, headIn } from '../../delta/index.js';
import {
  BytesBuilder,
  contentDigest,
  type ContentKeys,
  DIGEST_BYTES,
  digestKey,
  NO_RECORD_ID,
  type PackNumber,
  type SchemeNumber,
} from '../../model/index.js';
import {
  type Backend,
  buildFrame,
  Codec,
  decode,
  isOfAccount,
  type Location,
  MAX_FRAME_RAW_BYTES,
  openBody,
  packName,
  parseRecord,
  readFrameIndex,
  readHeader,
  RECORD_HEADER_BYTES,
  RecordCipher,
  type RecordHeader,
  type Slice,
} from '../../store/index.js';
import type { NativeCalls } from '../../system/index.js';
import type { StoreWriter } from '../../store/writer/index.js';

/** Number of decoded bytes of a repacked frame, as in a first backup. */
const FRAME_BYTES = 512 << 10;
const LEVEL = 3;

/** Tools to encode and decode frames. */
export interface FrameTools {
  readonly native: NativeCalls;
  /** Keys of a client that encrypts; undefined if it does not. */
  readonly keys: ContentKeys | undefined;
}

interface Proven {
  readonly scheme: SchemeNumber;
  readonly digest: Buffer;
  readonly bytes: Buffer;
}

interface Gathered {
  readonly scheme: SchemeNumber;
  readonly slices: Slice[];
  readonly bytes: BytesBuilder;
}

/** Location and contents of a repacked frame. */
export interface RepackedFrame {
  readonly location: Location;
  readonly recordBytes: number;
  readonly digests: readonly Buffer[];
}

export class FrameRepacker {
  /** Contents gathered for the next frames, by scheme, since all contents of a frame have one scheme. */
  private readonly gathered = new Map<number, Gathered>();
  private readonly store: StoreWriter;
  private readonly tools: FrameTools;
  private readonly moved: ReadonlySet<PackNumber>;

  private readonly wanted: IdSet | undefined;

  /**
   * Creates the repacker. `moved` has the packs that all frames are from. `wanted` has the contents to take; if
   * undefined, all known contents are taken.
   */
  constructor(
    store: StoreWriter,
    tools: FrameTools,
    moved: ReadonlySet<PackNumber>,
    wanted: IdSet | undefined,
  ) {
    this.store = store;
    this.tools = tools;
    this.moved = moved;
    this.wanted = wanted;
  }

  /**
   * Takes the needed contents of a frame. Returns the new frames that became full. Returns undefined for a damaged
   * frame of an account: the caller copies it as it is, since only that account relies on it. Throws RECORD_DAMAGED for
   * any other damaged frame.
   */
  async take(use: RecordUse): Promise<RepackedFrame[] | undefined> {
    const needed = await this.proven(use).catch(async (error: unknown) => {
      const isDamage = error instanceof TardisError && error.code === 'RECORD_DAMAGED';
      if (isDamage && (await this.isOfAccount(use))) return undefined;
      throw error;
    });
    if (needed === undefined) return undefined;
    const made: RepackedFrame[] = [];
    for (const { scheme, digest, bytes } of needed) {
      const frame = this.gather(scheme, digest, bytes);
      if (frame.bytes.length >= FRAME_BYTES) made.push(this.make(frame));
    }
    return this.tools.keys === undefined ? made : [...made, ...this.finish()];
  }

  private async isOfAccount([, , pack, position]: RecordUse): Promise<boolean> {
    const start = Buffer.alloc(RECORD_HEADER_BYTES);
    await this.store.backend.read(packName(pack), position, start, start.length);
    const header = readHeader(start, 0);
    return header !== undefined && isOfAccount(header);
  }

  /**
   * Returns the needed contents of a frame. Throws RECORD_DAMAGED if the frame is damaged, or one of them does not
   * match its digest.
   */
  private async proven(use: RecordUse): Promise<Proven[]> {
    const [recordId, , pack, position] = use;
    const { header, index, raw } = await readFrame(this.store.backend, this.tools, use);
    const { native, keys } = this.tools;
    const proven: Proven[] = [];
    for (const { digest, sizeBytes, offset } of readFrameIndex(header, index)) {
      const found = this.store.catalog.contents.find(digest);
      if (found === undefined || !this.store.catalog.gc.isIn(found.contentId, recordId)) continue;
      if (this.wanted?.has(found.contentId) === false) continue;
      const bytes = raw.subarray(offset, offset + sizeBytes);
      const hash = Buffer.alloc(DIGEST_BYTES);
      native.sha256(bytes, 0, bytes.length, hash, 0);
      if (!contentDigest(native, keys, hash).equals(digest)) {
        throw new TardisError('RECORD_DAMAGED', `a content in ${packName(pack)} is damaged`, {
          position,
        });
      }
      proven.push({ scheme: header.scheme, digest: Buffer.from(digest), bytes });
    }
    return proven;
  }

  /** Writes the last frames, even if they are not full, and returns them. */
  finish(): RepackedFrame[] {
    return [...this.gathered.values()].map((frame) => this.make(frame));
  }

  private gather(scheme: SchemeNumber, digest: Buffer, bytes: Buffer): Gathered {
    let frame = this.gathered.get(scheme);
    if (frame === undefined) {
      frame = { scheme, slices: [], bytes: new BytesBuilder(FRAME_BYTES) };
      this.gathered.set(scheme, frame);
    }
    frame.slices.push({ digest, start: frame.bytes.length, sizeBytes: bytes.length });
    frame.bytes.append(bytes);
    return frame;
  }

  private make(frame: Gathered): RepackedFrame {
    this.gathered.delete(frame.scheme);
    const { native, keys } = this.tools;
    const { store, moved } = this;
    const target = new BytesBuilder(frame.bytes.length);
    const cipher = keys && RecordCipher.fresh(native, keys, frame.scheme);
    buildFrame(frame.bytes.view(), frame.slices, {
      compression: { codec: Codec.zstd, level: LEVEL },
      target,
      cipher,
    });
    const record = target.take();
    const { header, index } = parseRecord(record);
    const location = store.packs.append(record);
    applyContentRecord(store.catalog, header, Buffer.from(index), { location, moved });
    const digests = frame.slices.map(({ digest }) => Buffer.from(digest));
    return { location, recordBytes: record.length, digests };
  }
}

interface OpenedFrame {
  readonly header: RecordHeader;
  readonly index: Buffer;
  readonly raw: Buffer;
}

async function readFrame(
  backend: Backend,
  { native, keys }: FrameTools,
  [, , pack, position, bytes]: Readonly<RecordUse>,
): Promise<OpenedFrame> {
  const place = { object: packName(pack), position, recordBytes: bytes };
  const wrong = (): TardisError =>
    new TardisError('RECORD_DAMAGED', `a frame in ${place.object} is damaged`, { position });
  if (bytes > 2 * MAX_FRAME_RAW_BYTES) throw wrong();
  const record = await fetchRecord(backend, place, 0, Buffer.allocUnsafe(bytes));
  const { header, cipher } = headIn({ native, keys }, place, record);
  if (header.rawBytes > MAX_FRAME_RAW_BYTES) throw wrong();
  const index = Buffer.from(parseRecord(record).index);
  const raw = Buffer.allocUnsafe(header.rawBytes);
  decode(header.codec, openBody(record, header, cipher), raw);
  return { header, index, raw };
}

/**
 * Reads a new frame back from the disk. Throws RECORD_DAMAGED unless all contents that were put into it match their
 * digests.
 */
export async function proveFrame(
  backend: Backend,
  tools: FrameTools,
  { location, recordBytes, digests }: RepackedFrame,
): Promise<void> {
  const { pack, position } = location;
  const use: RecordUse = [NO_RECORD_ID, 0, pack, position, recordBytes, 0];
  const { header, index, raw } = await readFrame(backend, tools, use);
  const left = new Set(digests.map((digest) => digestKey(digest)));
  for (const { digest, sizeBytes, offset } of readFrameIndex(header, index)) {
    const hash = Buffer.alloc(DIGEST_BYTES);
    tools.native.sha256(raw, offset, sizeBytes, hash, 0);
    if (contentDigest(tools.native, tools.keys, hash).equals(digest)) {
      left.delete(digestKey(Buffer.from(digest)));
    }
  }
  if (left.size > 0) {
    throw new TardisError('RECORD_DAMAGED', `what was just written to ${packName(pack)} is wrong`);
  }
}
