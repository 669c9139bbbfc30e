/** Types of the job that decodes stored records, and of all that runs it. */
import type { RecordPlace } from './stored-piece.js';
import type { ContentKeys } from '../model/index.js';
import type { ChunkHeader, ClientDirectory } from '../store/index.js';

/** A stored record, or one chunk of it, to decode. */
export interface DecodeInput {
  /** The client from whose directory the job reads records, or the stored bytes themselves. */
  readonly source: { readonly directory: ClientDirectory } | { readonly stored: Uint8Array };
  readonly record: RecordPlace;
  /** If given, one chunk is decoded; `source.stored` then has the chunk without its header. */
  readonly chunk?: ChunkToDecode | undefined;
  /** If given, only these contents of a record in one piece are decoded, in ascending order, with what lies between them. */
  readonly contents?: readonly ContentToDecode[] | undefined;
  /** Set if the client encrypts. */
  readonly keys?: ContentKeys | undefined;
}

/** The place of a content in its decoded record. */
export interface ContentToDecode {
  readonly offset: number;
  readonly sizeBytes: number;
}

export interface ChunkToDecode extends ChunkHeader {
  readonly number: number;
  /** Offset of the chunk's stored bytes in the record. */
  readonly at: number;
  /** Decoded length. */
  readonly sizeBytes: number;
  /** Header and index of the record. */
  readonly head: Uint8Array;
}

export interface DecodeOutput {
  /**
   * True if a whole record or the requested contents were decoded. False if the record is in chunks, which are decoded
   * one by one.
   */
  readonly isWhole: boolean;
  readonly bytes: Uint8Array;
  /** Offset in the decoded record of the first byte: that of the first content that was requested. */
  readonly startBytes: number;
  /**
   * The contents of a whole record, or those that were requested: 32 bytes of digest, computed from the bytes, and two
   * u32 for offset and size.
   */
  readonly digests: Uint8Array;
}

/** Decodes stored records. Each `JobRunner` can. */
export interface Decoder {
  /** Runs a job. Rejects with a TardisError. The buffers in `transfer` cannot be used afterwards. */
  run(
    name: 'decode',
    input: DecodeInput,
    transfer?: readonly ArrayBuffer[],
  ): Promise<{ readonly output: DecodeOutput }>;
  /**
   * Takes back decoded bytes that are no longer needed: frees their memory, or uses it again. Without it, the caller
   * frees them.
   */
  reuse?(blocks: readonly Buffer[]): void;
  /** Closes the files that are open for the next records. It must be called when other files have their paths. */
  forget?(): void;
}
