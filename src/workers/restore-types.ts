/** A restore job: what goes in, and what comes out. Plain data, as in jobs.ts. */
import type { MessagePort } from 'node:worker_threads';
import type { RecordPlace, StoredPiece } from '../delta/index.js';
import type { WireError } from '../errors/index.js';
import type { ContentKeys } from '../model/index.js';

/** Where the objects of the store are: on this machine, or whoever holds the other end of the port reads them. */
export type RestoreSource = { readonly path: string } | { readonly port: MessagePort };

/** One restore job: records to read, and the files to make of them, packed for a quick crossing. */
export interface RestoreInput {
  readonly source: RestoreSource;
  readonly targetPath: Uint8Array;
  readonly records: readonly RestoreRecord[];
  /** Rows of the files; with a digest where the content is one piece. */
  readonly rows: Uint8Array;
  /**
   * For each file four numbers: its directory, its record (or NO_RECORD), the offset in a frame, and
   * how it is to be put there (RestoreHow).
   */
  readonly places: Uint32Array;
  /** Directories beneath the target, one after another. */
  readonly directories: Uint8Array;
  readonly directoryEnds: Uint32Array;
  /** The pieces of files in parts, and of sparse files. */
  readonly inParts: readonly { readonly file: number; readonly pieces: readonly RestorePiece[] }[];
  /** See MetadataOption of the addon. */
  readonly ownerOptions: number;
  /** Of a client that encrypts. */
  readonly keys?: ContentKeys | undefined;
  /** How names of files begin that are to be renamed once they are whole. */
  readonly temporaryPrefix: string;
}

/** What to do about a file of the same name, as bits; without any, that one stays and is told. */
export const RestoreHow = Object.freeze({
  /** A new file takes its place, once it is whole. */
  replace: 1,
  /** If it has the wanted content already it stays, and counts as unchanged. */
  compare: 2,
  /** Write nothing, only count. */
  pretend: 4,
});

/** In `places`: the file is empty, or in parts. */
export const NO_RECORD = 0xffff_ffff;
export const PLACE_NUMBERS = 4;

export type RestoreRecord = RecordPlace;

export interface RestorePiece {
  /** Index into `records`. */
  readonly record: number;
  readonly digest: Uint8Array;
  readonly sizeBytes: number;
  /** Within the decoded frame. */
  readonly offset: number;
  /** Of a delta: what it was made on. */
  readonly basis?: readonly StoredPiece[] | undefined;
}

export interface RestoreOutput {
  readonly files: number;
  readonly bytes: number;
  /** Files that were there already with the same content. */
  readonly unchanged: number;
  readonly failures: readonly RestoreJobFailure[];
}

export interface RestoreJobFailure {
  /** Which file of the job. */
  readonly file: number;
  /** The file is there, but an attribute of it is not. */
  readonly isRestored: boolean;
  /** The piece that was being read or written. */
  readonly digest: Uint8Array | undefined;
  readonly error: WireError;
}
