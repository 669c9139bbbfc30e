/**
 * The signature stage: sends the signature of a file as its parts are read, in their order, so that it
 * is never in memory whole. It follows the content, by whose digest it is kept.
 */
import { blockBytesFor, LEAST_DELTA_BYTES, SignatureJoin } from '../delta/index.js';
import { BytesBuilder, type SchemeNumber } from '../model/index.js';
import { buildChunk, Codec, STREAM_CHUNK_BYTES } from '../store/index.js';
import type { JobRunner } from '../workers/index.js';
import type { BackupPeer } from './peer.js';
import { RecordStream } from './record-stream.js';

/** Sums look random: nothing makes them shorter. */
const AS_THEY_ARE = { codec: Codec.none, level: 0 };

/**
 * Length of the blocks if a content of this size can be a basis: not if it is too small to gain by that,
 * or too large. `fileBytes`: with its holes.
 */
export function signatureBlocks(contentBytes: number, fileBytes: number): number | undefined {
  const isMostlyHoles = contentBytes < fileBytes / 2;
  if (contentBytes < LEAST_DELTA_BYTES || isMostlyHoles) return undefined;
  return blockBytesFor(contentBytes);
}

export class SignatureSender {
  private readonly join = new SignatureJoin();
  private readonly stream: RecordStream;
  private chunks = 0;
  private readonly waiting = new BytesBuilder(0);
  private rawBytes = 0;
  private nextPart = 0;
  /** Parts that are ready before those in front of them: fewer than are read at once. */
  private readonly early = new Map<number, Uint8Array>();

  /** `scheme`: what the content is encrypted with; undefined: as usual. */
  constructor(peer: BackupPeer, jobs: JobRunner, scheme: SchemeNumber | undefined) {
    this.stream = RecordStream.signature(peer, jobs, AS_THEY_ARE.codec, scheme);
  }

  /** Takes the signature of a part: of whole blocks, but for the last one. */
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

  /** Whether the signatures of this many parts have come. */
  isWhole(parts: number): boolean {
    return this.nextPart === parts;
  }

  /** `digest` and size are those of the content, which has been sent. */
  async end(digest: Uint8Array, sizeBytes: number): Promise<void> {
    if (this.waiting.length > 0) await this.sendChunk();
    await this.stream.end(digest, sizeBytes, this.rawBytes);
  }

  /** Gives it up: the file has changed, or could not be read. */
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
    return this.stream.chunk(buildChunk(this.waiting.take(), AS_THEY_ARE, place));
  }
}
