/**
 * The signature stage: sends the signature of a file while its parts are read, in their order, so that the whole
 * signature is never in memory. The signature ends after the content, and is stored under the content's digest.
 */
import { blockBytesFor, LEAST_DELTA_BYTES, SignatureJoin } from '../delta/index.js';
import { BytesBuilder, type SchemeNumber } from '../model/index.js';
import { buildChunk, SIGNATURE_COMPRESSION, STREAM_CHUNK_BYTES } from '../store/index.js';
import type { Encryption, RecordStream } from './encryption.js';

/**
 * Returns the block length of a content's signature; undefined if the content cannot be a basis, since it is too small
 * to gain by a delta, or too large. The content of a file with holes is its sparse form.
 */
export function signatureBlocks(contentBytes: number): number | undefined {
  return contentBytes < LEAST_DELTA_BYTES ? undefined : blockBytesFor(contentBytes);
}

export class SignatureSender {
  private readonly join = new SignatureJoin();
  private readonly stream: RecordStream;
  private chunks = 0;
  private readonly waiting = new BytesBuilder(0);
  private rawBytes = 0;
  private nextPart = 0;
  /** Signatures of parts that arrived before those of earlier parts. They are fewer than the parts read at once. */
  private readonly early = new Map<number, Uint8Array>();

  /** `scheme` is the content's encryption scheme; undefined for the usual one. */
  constructor(encryption: Encryption, scheme: SchemeNumber | undefined) {
    this.stream = encryption.openSignature(scheme);
  }

  /** Takes the signature of a part. All parts but the last consist of whole blocks. */
  async part(number: number, signature: Uint8Array): Promise<void> {
    this.early.set(number, signature);
    for (;;) {
      const next = this.early.get(this.nextPart);
      if (next === undefined) return;
      this.early.delete(this.nextPart);
      this.nextPart += 1;
      await this.append(this.join.next(next));
    }
  }

  /** True if the signatures of this many parts have arrived. */
  isWhole(parts: number): boolean {
    return this.nextPart === parts;
  }

  /** Ends the stream. `digest` and size are those of the content, which has been sent. */
  async end(digest: Uint8Array, sizeBytes: number): Promise<void> {
    if (this.waiting.length > 0) await this.sendChunk();
    await this.stream.end(digest, sizeBytes, this.rawBytes);
  }

  /** Discards the signature, because the file changed or could not be read. */
  abort(): void {
    this.stream.abort();
  }

  private async append(bytes: Uint8Array): Promise<void> {
    this.rawBytes += bytes.length;
    const sent: Promise<void>[] = [];
    for (let at = 0; at < bytes.length; ) {
      const piece = bytes.subarray(at, at + STREAM_CHUNK_BYTES - this.waiting.length);
      this.waiting.append(piece);
      at += piece.length;
      if (this.waiting.length < STREAM_CHUNK_BYTES) continue;
      sent.push(this.sendChunk());
    }
    await Promise.all(sent);
  }

  private sendChunk(): Promise<void> {
    const { cipher } = this.stream;
    const place = cipher && { cipher, number: this.chunks };
    this.chunks += 1;
    return this.stream.chunk(buildChunk(this.waiting.take(), SIGNATURE_COMPRESSION, place));
  }
}
