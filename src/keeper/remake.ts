/**
 * Frames in which only some contents are still needed are made anew from those, together with those of other such
 * frames: a frame is decoded, what is needed of it is proven by its digest, and encoded again.
 */
import { TardisError } from '../errors/index.js';
import { applyContentRecord, type RecordUse } from '../catalog/index.js';
import { fetchRecord, headIn } from '../delta/index.js';
import {
  BytesBuilder,
  type ContentKeys,
  contentDigest,
  DIGEST_BYTES,
  digestKey,
  type SchemeNumber,
} from '../model/index.js';
import {
  type Backend,
  buildFrame,
  Codec,
  decode,
  type Location,
  MAX_FRAME_RAW_BYTES,
  openBody,
  packName,
  parseRecord,
  readFrameIndex,
  RecordCipher,
  type RecordHeader,
  type Slice,
} from '../store/index.js';
import type { NativeCalls } from '../system/index.js';
import type { ClientStore } from './client-store.js';

/** Decoded bytes of a frame that is made anew, as of first ones. */
const FRAME_BYTES = 512 << 10;
const LEVEL = 3;

/** What makes and reads frames. */
export interface FrameTools {
  readonly native: NativeCalls;
  /** Of a client that encrypts. */
  readonly keys: ContentKeys | undefined;
}

interface Gathered {
  readonly scheme: SchemeNumber;
  readonly slices: Slice[];
  readonly bytes: BytesBuilder;
}

/** Where a new frame is, and what is in it. */
export interface RemadeFrame {
  readonly location: Location;
  readonly recordBytes: number;
  readonly digests: readonly Buffer[];
}

export class FrameRemaker {
  /** One run for each scheme: a frame has one. */
  private readonly gathered = new Map<number, Gathered>();
  private readonly store: ClientStore;
  private readonly tools: FrameTools;
  private readonly moved: ReadonlySet<number>;

  /** `moved`: packs that all frames come from. */
  constructor(store: ClientStore, tools: FrameTools, moved: ReadonlySet<number>) {
    this.store = store;
    this.tools = tools;
    this.moved = moved;
  }

  /** Takes what is needed of a frame. Throws RECORD_DAMAGED. Returns the frames that are full. */
  async take(use: RecordUse): Promise<RemadeFrame[]> {
    const [recordId, , pack, position] = use;
    const { header, index, raw } = await readFrame(this.store.backend, this.tools, use);
    const { native, keys } = this.tools;
    const made: RemadeFrame[] = [];
    for (const { digest, sizeBytes, offset } of readFrameIndex(header, index)) {
      const found = this.store.catalog.contents.find(digest);
      if (found === undefined || !this.store.catalog.upkeep.isIn(found.contentId, recordId))
        continue;
      const bytes = raw.subarray(offset, offset + sizeBytes);
      const hash = Buffer.alloc(DIGEST_BYTES);
      native.sha256(bytes, 0, bytes.length, hash, 0);
      if (!contentDigest(native, keys, hash).equals(digest)) {
        throw new TardisError('RECORD_DAMAGED', `a content in ${packName(pack)} is damaged`, {
          position,
        });
      }
      const frame = this.gather(header.scheme, Buffer.from(digest), bytes);
      if (frame.bytes.length >= FRAME_BYTES) made.push(this.make(frame));
    }
    return made;
  }

  /** The last frames, which are not full. */
  finish(): RemadeFrame[] {
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

  private make(frame: Gathered): RemadeFrame {
    this.gathered.delete(frame.scheme);
    const { native, keys } = this.tools;
    const { store, moved } = this;
    const target = new BytesBuilder(frame.bytes.length);
    const cipher = keys && RecordCipher.fresh(native, keys, frame.scheme);
    buildFrame(
      frame.bytes.view(),
      frame.slices,
      { codec: Codec.zstd, level: LEVEL },
      target,
      cipher,
    );
    const record = target.take();
    const { header, index } = parseRecord(record);
    const location = store.packs.append(record);
    applyContentRecord(store.catalog, header, Buffer.from(index), location, undefined, moved);
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
  const { header, cipher } = headIn({ backend, native, keys }, place, record);
  if (header.rawBytes > MAX_FRAME_RAW_BYTES) throw wrong();
  const index = Buffer.from(parseRecord(record).index);
  const raw = Buffer.allocUnsafe(header.rawBytes);
  decode(header.codec, openBody(record, header, cipher), raw);
  return { header, index, raw };
}

/** Reads new frames back from the disk, and proves each content in them. Throws RECORD_DAMAGED. */
export async function proveFrame(
  backend: Backend,
  tools: FrameTools,
  { location, recordBytes, digests }: RemadeFrame,
): Promise<void> {
  const { pack, position } = location;
  const use: RecordUse = [0, 0, pack, position, recordBytes, 0];
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
