/** Types of a restore job's input and output. Plain data, as in jobs.ts. */
import type { MessagePort } from 'node:worker_threads';
import type { RecordPiece, RecordPlace } from '../contents/index.js';
import type { WireError } from '../errors/index.js';
import type { ContentKeys } from '../model/index.js';
import type { ClientDirectory } from '../store/index.js';
import type { TargetPlace } from './target-file.js';

/**
 * Source of the store's objects: a client's directory, a port whose other end reads them, or the bytes of all records of
 * the job, one after the other.
 */
export type RestoreSource =
  | { readonly directory: ClientDirectory }
  | { readonly port: MessagePort }
  | { readonly stored: Uint8Array };

/** Input of one restore job: records to read, and the files to write, packed for fast transfer. */
export interface RestoreInput {
  readonly source: RestoreSource;
  readonly target: TargetPlace;
  readonly records: readonly RecordPlace[];
  /** Rows of the files. They contain a digest if the content is one piece. */
  readonly rows: Uint8Array;
  /**
   * Four numbers for each file: its directory, its record (or NO_RECORD), the offset in a frame, and how to restore it
   * (RestoreHow).
   */
  readonly places: Uint32Array;
  /** Directories beneath the target, concatenated. */
  readonly directories: Uint8Array;
  readonly directoryEnds: Uint32Array;
  /** The pieces of each file that has several, is sparse or is a delta, by the index of the file. */
  readonly inParts: readonly { readonly file: number; readonly pieces: readonly RestorePiece[] }[];
  /**
   * Names of the files that copies are made from, each with a zero byte behind it. The place of a copy has, instead of
   * its record and offset, the directory of the file that it is made from and the position of that file's name.
   */
  readonly copiedNames: Uint8Array;
  /** See MetadataOption of the addon. */
  readonly metadataOptions: number;
  /** Set if the client encrypts. */
  readonly keys?: ContentKeys | undefined;
  /** Prefix of the temporary names of files that are renamed once they are complete. */
  readonly temporaryPrefix: string;
  /** Shared memory that is 1 once the restore is stopped: then no file is begun, and the present one fails. */
  readonly stop: Int32Array;
  /**
   * If given, only these files are restored, one by one: LEFT_NUMBERS for each, as `restoreFiles` notes them. The addon
   * has restored the others.
   */
  readonly undecided?: Uint32Array;
}

/**
 * How a file is restored, as bits. Without `replace`, `compare` and `dress`, an existing file of the same name stays
 * and is reported as an error.
 */
export const RestoreHow = Object.freeze({
  /** Replaces the existing file by a new file, once the new one is complete. */
  replace: 1,
  /** Keeps the existing file if it has the right content; the file then counts as unchanged. */
  compare: 2,
  /** Writes nothing; files are only counted. */
  pretend: 4,
  /** Sets the metadata of an existing file that is kept. Without `compare`, its content is known to be right. */
  dress: 8,
  /**
   * The content has several pieces, is sparse or is a delta. Its pieces are in `RestoreInput.inParts`, not in `places`.
   */
  inParts: 16,
  /**
   * The content is that of a file which the restore has written before, so it is read there. A file that cannot be
   * copied is reported as one whose record is gone, and must be restored from its record.
   */
  copied: 32,
  /**
   * The directory existed before, or is the target itself. ACLs and flags that the file inherits from it are removed.
   */
  inherits: 64,
  /**
   * With `replace`: an interrupted run may have left the existing file half-done. It is replaced only if it holds nothing
   * but a beginning of the content; otherwise it stays, and is reported as an error.
   */
  begun: 128,
  /** With `begun`: the machine was restarted meanwhile, so zeros stand for any bytes. A power cut may have lost them. */
  torn: 256,
});

/** True if a file is new, whole in one record, and needs no decision. */
export function isNewFile(how: number): boolean {
  return (how & ~RestoreHow.inherits) === 0;
}

/** True if a file is copied from one that was written before. */
export function isCopy(how: number): boolean {
  return (how & RestoreHow.copied) !== 0;
}

/** Value in `places` instead of the number of a record: the file is empty, or its pieces are in `inParts`. */
export const NO_RECORD = 0xffff_ffff;
export const PLACE_NUMBERS = 4;

export interface RestorePiece extends RecordPiece {
  /** Index into `records`. */
  readonly record: number;
}

export interface RestoreOutput {
  readonly files: number;
  readonly bytes: number;
  /** Files that already existed with the same content. */
  readonly unchanged: number;
  readonly failures: readonly RestoreJobFailure[];
}

export interface RestoreJobFailure {
  /** Index of the file in the job. */
  readonly file: number;
  /** True if the file was restored, but without one of its attributes. */
  readonly isRestored: boolean;
  /**
   * Digest of the damaged basis of a delta, otherwise of the piece that was being read or written; undefined for an
   * empty file, and if `isRestored`.
   */
  readonly digest: Uint8Array | undefined;
  readonly error: WireError;
}
