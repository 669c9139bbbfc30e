/**
 * The signature stage: collects the signatures of a file's parts while these are read, and sends the signature of the
 * content when that is stored. If the file is sent as a delta, each part has a second signature, in longer blocks. That one
 * is sent if few places have changed: it is shorter by more than the next delta will be longer.
 */
import {
  blockBytesFor,
  LEAST_DELTA_BYTES,
  longerBlocks,
  MAX_BLOCKS,
  signatureBytesFor,
  SignatureJoin,
} from '../delta/index.js';
import { BytesBuilder, type SchemeNumber } from '../model/index.js';
import { buildChunk, SIGNATURE_COMPRESSION, STREAM_CHUNK_BYTES } from '../store/index.js';
import type { Credit } from '../system/index.js';
import type { Encryption } from './encryption.js';

/**
 * Returns the block length of a content's signature; undefined if the content cannot be a basis, since it is too small
 * to gain by a delta, or too large. The content of a file with holes is its sparse form.
 */
export function signatureBlocks(contentBytes: number): number | undefined {
  return contentBytes < LEAST_DELTA_BYTES ? undefined : blockBytesFor(contentBytes);
}

/** Properties of the signatures of one content. */
interface SignatureStart {
  /** The length of blocks that suits the content. */
  readonly blockBytes: number;
  readonly isDelta: boolean;
  /** Maximum size of the content. */
  readonly mostBytes: number;
  /** The content's encryption scheme; undefined for the usual one. */
  readonly scheme: SchemeNumber | undefined;
  /** Limits the memory of signatures that wait for the end of their contents. */
  readonly memory: Credit;
}

/** Must be closed. */
export class SignatureSender implements Disposable {
  /** The lengths of blocks of which one is chosen. All parts but the last consist of whole blocks. */
  readonly blocks: readonly number[];
  private readonly parts: (readonly Uint8Array[])[] = [];
  private readonly heldBytes: number;

  private constructor(
    private readonly encryption: Encryption,
    private readonly start: SignatureStart,
  ) {
    const { blockBytes, isDelta, mostBytes } = start;
    this.blocks = isDelta ? [blockBytes, longerBlocks(blockBytes)] : [blockBytes];
    const held = this.blocks.map((bytes) =>
      signatureBytesFor(Math.min(mostBytes, blockBytes * MAX_BLOCKS), bytes),
    );
    this.heldBytes = held.reduce((sum, bytes) => sum + bytes);
  }

  /** Creates a sender when there is memory for the signatures. */
  static async begin(encryption: Encryption, start: SignatureStart): Promise<SignatureSender> {
    const sender = new SignatureSender(encryption, start);
    await start.memory.take(sender.heldBytes);
    return sender;
  }

  /** Takes the signatures of a part, one for each length of blocks. */
  part(number: number, signatures: readonly Uint8Array[]): void {
    this.parts[number] = signatures;
  }

  /** True if the signatures of this many parts have arrived. */
  isWhole(parts: number): boolean {
    return this.parts.filter((part) => part.length > 0).length === parts;
  }

  /**
   * Sends the signature. `digest` and size are those of the content, which has been sent. `edits` is the number of places
   * in which it differs from its basis.
   */
  async end(digest: Uint8Array, sizeBytes: number, edits: number): Promise<void> {
    // The next version is expected to change in as many places, each of which costs a block.
    const costs = this.blocks.map((bytes) => signatureBytesFor(sizeBytes, bytes) + edits * bytes);
    const chosen = costs.indexOf(Math.min(...costs));
    const stream = this.encryption.openSignature(this.start.scheme);
    const { cipher } = stream;
    let [number, rawBytes] = [0, 0];
    let last: Promise<void> | undefined;
    for (const raw of this.chunks(chosen)) {
      const chunk = buildChunk(raw, SIGNATURE_COMPRESSION, cipher && { cipher, number });
      await last;
      last = stream.chunk(chunk);
      number += 1;
      rawBytes += raw.length;
    }
    await last;
    await stream.end(digest, sizeBytes, rawBytes);
  }

  /** Yields the signature with blocks of one of the lengths, in chunks. */
  private *chunks(chosen: number): Generator<Buffer> {
    const join = new SignatureJoin();
    const waiting = new BytesBuilder(0);
    for (const signatures of this.parts) {
      const bytes = join.next(signatures[chosen]!);
      for (let at = 0; at < bytes.length; ) {
        const piece = bytes.subarray(at, at + STREAM_CHUNK_BYTES - waiting.length);
        waiting.append(piece);
        at += piece.length;
        if (waiting.length === STREAM_CHUNK_BYTES) yield waiting.take();
      }
    }
    if (waiting.length > 0) yield waiting.take();
  }

  [Symbol.dispose](): void {
    this.start.memory.give(this.heldBytes);
  }
}
