/**
 * Decodes the signature of a basis that an encrypting client stored, or makes it from the basis itself, if that is small and
 * has none. A record of either kind arrives in pieces.
 */
import { ArrivingRecord } from '../contents/index.js';
import { blockBytesFor, SAMPLED_FROM_BYTES, SignatureMaker } from '../delta/index.js';
import { TardisError } from '../errors/index.js';
import { type ContentKeys, NO_BYTES } from '../model/index.js';
import type { OfferedBasis, SignatureSink } from '../pipeline/index.js';
import { readContentIndex, type RecordHeader, RecordKind } from '../store/index.js';
import type { RsyncCalls, SealingCalls } from '../system/index.js';

/** Must be closed. */
export class SealedSignature implements Disposable {
  private readonly record: ArrivingRecord;
  /** Makes the signature; undefined if the record has it. */
  private maker: SignatureMaker | undefined;

  /** Creates a decoder that passes the signature to `sink`, once it has checked that the record belongs to `basis`. */
  constructor(
    private readonly calls: SealingCalls & RsyncCalls,
    keys: ContentKeys,
    private readonly basis: OfferedBasis,
    private readonly sink: SignatureSink,
  ) {
    this.record = new ArrivingRecord(
      { native: calls, keys },
      {
        onHead: (header, index) => this.isExpected(header, index),
        onChunk: (decoded) => {
          if (this.maker === undefined) return sink(decoded, false);
          this.maker.push(decoded);
          return true;
        },
      },
    );
  }

  /**
   * Takes the next piece of the record. Returns false if the signature cannot be used: the file is then sent
   * whole.
   */
  take(bytes: Buffer, isLast: boolean): boolean {
    try {
      const isTaken = this.record.take(bytes);
      if (!isTaken || !isLast) return isTaken;
      return this.record.isComplete && this.sink(this.maker?.finish() ?? NO_BYTES, true);
    } catch (error) {
      if (!(error instanceof TardisError)) throw error;
      return false; // damaged or forged: the backup can do without a delta
    }
  }

  private isExpected({ kind, rawBytes }: RecordHeader, index: Buffer): boolean {
    const { digest, sizeBytes } = readContentIndex(index);
    if (!digest.equals(this.basis.digest) || sizeBytes !== this.basis.sizeBytes) return false;
    if (kind === RecordKind.signature) return true;
    const isSmall = rawBytes === sizeBytes && sizeBytes <= SAMPLED_FROM_BYTES;
    if (kind !== RecordKind.content || !isSmall) return false;
    this.maker = new SignatureMaker(this.calls, blockBytesFor(sizeBytes)!, sizeBytes);
    return true;
  }

  [Symbol.dispose](): void {
    this.maker?.close();
  }
}
