/** A large file on its way: what is known of it and of its parts. */
import { type CryptWish, cryptFilter } from '../excludes/index.js';
import { type PartDigest, RowOffset, RowReader, type SchemeNumber } from '../model/index.js';
import type { Compression } from '../store/index.js';
import type { RangeOutput, RawRules } from '../workers/index.js';
import type { FileDelta } from './file-delta.js';
import type { LargeFile } from './parcel.js';
import type { SignatureSender } from './signature-sender.js';

export interface LargeOptions {
  readonly compression: Compression;
  readonly rawRules?: RawRules;
  readonly cryptWish?: CryptWish | undefined;
  /** Files above this are always hashed before they are sent; 0: none. */
  readonly checksumAboveBytes?: number;
  /** Make signatures of all that is sent; else the server does, when it needs them. */
  readonly sendSignatures?: boolean;
  /** Parts (or files) streamed at once. */
  readonly streams: number;
}

export interface LargeResult {
  /** The row as the file was read; its size is what was read. */
  readonly row: Buffer;
  readonly digest: Buffer;
  readonly hasChanged: boolean;
  /** Why its attributes could not be read; empty if they could. */
  readonly incomplete: string;
}

/** The file (not the session) failed, for the system's reason in `reason`. */
export class UnreadableFile extends Error {
  readonly reason: string;

  constructor(reason: string) {
    super(`a file could not be read: ${reason}`);
    this.reason = reason;
  }
}

export interface PartResult extends PartDigest {
  readonly digest: Buffer;
  readonly row: Buffer;
  readonly hasChanged: boolean;
  readonly incomplete: string;
  /** The server had it. */
  readonly wasThere: boolean;
  /** Its sums have been sent. */
  readonly isSigned: boolean;
}

/** What of a file is sent: its bytes, or its sparse form. */
export interface Source extends LargeFile {
  readonly sparseHead: Uint8Array | undefined;
  /** Of what is sent. */
  readonly formBytes: number;
  /** Of its signature, if it may have one. */
  readonly blockBytes: number | undefined;
}

/** A file on its way. */
export interface Sending extends Source {
  readonly isInParts: boolean;
  /** What its records are encrypted with; undefined: as usual. */
  readonly scheme: SchemeNumber | undefined;
  readonly delta: FileDelta | undefined;
  readonly signature: SignatureSender | undefined;
}

/** A part read to be hashed, and read to be sent: one of them, or both. */
export interface Readings {
  readonly first: RangeOutput | undefined;
  readonly sent: RangeOutput | undefined;
}

/** Whether two rows of a file tell the same size, times and inode. */
export function isSameVersion(row: Buffer, other: Buffer): boolean {
  const isEqual = (from: number, to: number): boolean =>
    row.compare(other, from, to, from, to) === 0;
  return (
    isEqual(RowOffset.sizeBytes, RowOffset.birthTimeNs) &&
    isEqual(RowOffset.inode, RowOffset.device)
  );
}

/** The scheme that the user wants for a file's records; undefined: the usual one. */
export function wantedScheme(
  wish: CryptWish | undefined,
  { directoryPath, row }: LargeFile,
): SchemeNumber | undefined {
  return cryptFilter(wish)?.scheme(directoryPath, new RowReader(row).name(0));
}
