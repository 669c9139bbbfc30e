/**
 * Deltas for a reader that has another version of a file. The reader sends the signature of its version, and receives
 * the new parts of each content. If a content has too little in common with that version, the delta is refused early,
 * since reading the content whole is then cheaper.
 */
import { setImmediate } from 'node:timers/promises';
import { ReusedBuffers, RecordReader } from '../../contents/index.js';
import type { History } from '../../history/index.js';
import { DeltaMaker, LoadedSignature, MAX_SIGNATURE_BYTES } from '../../delta/index.js';
import { protocolViolation, recordDamaged } from '../../errors/index.js';
import { buildChunk, Codec, type ObjectReader, STREAM_CHUNK_BYTES } from '../../store/index.js';
import type { System } from '../../system/index.js';
import { NO_BYTES } from '../../model/index.js';

/** Maximum number of signatures of one reader at one time; this limits their memory. */
const MAX_SIGNATURES = 4;
/** Number of bytes of a content that are compared before any part of its delta is sent. */
const EVIDENCE_BYTES = 8 << 20;
/** Maximum share of new bytes among those compared; beyond that, the delta is refused. */
const MOST_NEW_RATIO = 0.5;
const COMPRESSION = { codec: Codec.zstd, level: 1 } as const;
/** Number of bytes at the start of a digest by which it is looked up. */
const PREFIX_BYTES = 8;
const MOST_ALIKE = 16;

interface MadePart {
  readonly chunk: Buffer;
  readonly isLast: boolean;
  readonly isUseless: boolean;
}

interface Signature {
  readonly loaded: LoadedSignature;
  bytes: number;
  running: AsyncGenerator<MadePart, void> | undefined;
}

export class ReaderDeltas {
  private readonly signatures = new Map<number, Signature>();

  constructor(
    private readonly system: System,
    private readonly history: History,
    private readonly objects: ObjectReader,
  ) {}

  /**
   * Adds bytes to a signature. Throws RECORD_DAMAGED if they are not a signature, and PROTOCOL_VIOLATION if too many
   * signatures are open.
   */
  sign(number: number, basisBytes: number, bytes: Buffer, isLast: boolean): void {
    let signature = this.signatures.get(number);
    if (signature === undefined) {
      if (this.signatures.size >= MAX_SIGNATURES) {
        throw protocolViolation('too many signatures are open');
      }
      const loaded = new LoadedSignature(this.system.native, basisBytes);
      signature = { loaded, bytes: 0, running: undefined };
      this.signatures.set(number, signature);
    }
    signature.bytes += bytes.length;
    if (signature.bytes > MAX_SIGNATURE_BYTES) throw recordDamaged('a signature has no end');
    signature.loaded.push(bytes, isLast);
  }

  /**
   * Returns the next part of a content's delta. Throws PROTOCOL_VIOLATION without such a signature, and RECORD_DAMAGED
   * if the content is missing or damaged.
   */
  async next(number: number, digest: Buffer, isFirst: boolean): Promise<MadePart> {
    const signature = this.signatures.get(number);
    if (signature === undefined) {
      throw protocolViolation('a delta needs the signature of its basis first');
    }
    if (isFirst) {
      await signature.running?.return(undefined);
      signature.running = this.make(signature.loaded, digest);
    }
    const next = await signature.running?.next();
    // A request after the end gets the end again.
    const end = { chunk: NO_BYTES, isLast: true, isUseless: false };
    return next === undefined || next.done === true ? end : next.value;
  }

  async drop(number: number): Promise<void> {
    const signature = this.signatures.get(number);
    this.signatures.delete(number);
    await signature?.running?.return(undefined);
    signature?.loaded.close();
  }

  async close(): Promise<void> {
    for (const number of this.signatures.keys()) await this.drop(number);
  }

  private async *make(loaded: LoadedSignature, digest: Buffer): AsyncGenerator<MadePart, void> {
    const found = await this.history.findContents(digest.subarray(0, PREFIX_BYTES), MOST_ALIKE);
    const content = found.find((each) => each.digest.equals(digest));
    const [pieces] = content === undefined ? [] : await this.history.locate([content]);
    if (pieces === undefined) throw recordDamaged('its bytes are missing');
    const { native } = this.system;
    const maker = new DeltaMaker(native, loaded.number, STREAM_CHUNK_BYTES);
    const reader = new RecordReader(this.objects, native, new ReusedBuffers());
    let readBytes = 0;
    // Parts are held back until it is clear that the delta is useful.
    let held: MadePart[] | undefined = [];
    try {
      for (const piece of pieces) {
        // The reader of the delta checks the digest of the result.
        for await (const bytes of reader.uncheckedBytes(piece, piece)) {
          readBytes += bytes.length;
          for (const part of maker.push(bytes)) {
            if (held === undefined) yield partOf(part);
            else held.push(partOf(part));
          }
          if (held !== undefined && readBytes >= EVIDENCE_BYTES) {
            if (maker.literalBytes > readBytes * MOST_NEW_RATIO) {
              yield { chunk: NO_BYTES, isLast: true, isUseless: true };
              return;
            }
            yield* held;
            held = undefined;
          }
          await setImmediate(); // other work of this thread gets its turn
        }
      }
      yield* held ?? [];
      for (const part of maker.finish()) yield partOf(part);
      yield { chunk: NO_BYTES, isLast: true, isUseless: false };
    } finally {
      maker.close();
      reader.release();
    }
  }
}

const LENGTH_BYTES = 4;

/** Returns the part of a delta with these bytes. Its encoding is their length (u32), then a compressed chunk. */
function partOf(bytes: Buffer): MadePart {
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32LE(bytes.length);
  const chunk = Buffer.concat([length, buildChunk(bytes, COMPRESSION)]);
  return { chunk, isLast: false, isUseless: false };
}
