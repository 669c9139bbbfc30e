/**
 * Repacks frames of which only some contents are still needed. Needed contents of several such frames share a new
 * frame. If the client encrypts, each frame becomes one of its own: frames may have files of different owners, which are
 * not compressed together, and neither a record nor a digest shows the owner. Each old frame is decoded, and its needed contents are checked by their digests and encoded again.
 */
import { damagedRecord, fetchHeader, hasContent, readWhole } from '../../contents/index.js';
import { recordDamaged, TardisError } from '../../errors/index.js';
import type { IdSet, RecordUse } from '../../store/catalog/index.js';
import {
  BytesBuilder,
  type ContentKeys,
  digestKey,
  type PackNumber,
  type SchemeNumber,
} from '../../model/index.js';
import {
  type Backend,
  buildFrame,
  Codec,
  isOfAccount,
  type Location,
  packName,
  readFrameIndex,
  RecordCipher,
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

  /**
   * Creates the repacker. `moved` has the packs that all frames are from. `wanted` has the contents to take; if
   * undefined, all known contents are taken.
   */
  constructor(
    private readonly store: StoreWriter,
    private readonly tools: FrameTools,
    private readonly moved: ReadonlySet<PackNumber>,
    private readonly wanted: IdSet | undefined,
  ) {}

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

  private async isOfAccount([, , pack, position, recordBytes]: RecordUse): Promise<boolean> {
    const place = { object: packName(pack), position, recordBytes };
    return isOfAccount(await fetchHeader(this.store.backend, place));
  }

  /**
   * Returns the needed contents of a frame. Throws RECORD_DAMAGED if the frame is damaged, or one of them does not
   * match its digest.
   */
  private async proven(use: RecordUse): Promise<Proven[]> {
    const [recordId, , pack, position, recordBytes] = use;
    const place = { object: packName(pack), position, recordBytes };
    const source = { backend: this.store.backend, ...this.tools };
    const { header, index, decoded } = await readWhole(source, place);
    const proven: Proven[] = [];
    for (const content of readFrameIndex(header, index)) {
      const { digest, sizeBytes, offset } = content;
      const found = this.store.catalog.contents.find(digest);
      if (found === undefined || !this.store.catalog.gc.isIn(found.contentId, recordId)) continue;
      if (this.wanted?.has(found.contentId) === false) continue;
      if (!hasContent(this.tools, decoded, content)) throw damagedRecord(place);
      const bytes = decoded.subarray(offset, offset + sizeBytes);
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
    const { location } = store.appendContents(record, moved);
    const digests = frame.slices.map(({ digest }) => Buffer.from(digest));
    return { location, recordBytes: record.length, digests };
  }
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
  const place = { object: packName(pack), position, recordBytes };
  const source = { backend, ...tools };
  const { header, index, decoded } = await readWhole(source, place);
  const left = new Set(digests.map((digest) => digestKey(digest)));
  for (const content of readFrameIndex(header, index)) {
    if (hasContent(source, decoded, content)) left.delete(digestKey(Buffer.from(content.digest)));
  }
  if (left.size > 0) throw recordDamaged(`what was just written to ${packName(pack)} is wrong`);
}
