/** The state of a large file, and of its parts, while it is sent. */
import { type CipherChoice, cryptFilter } from '../excludes/index.js';
import {
  joinPath,
  type PartDigest,
  RowOffset,
  RowReader,
  type SchemeNumber,
} from '../model/index.js';
import type { RangeOutput } from '../workers/index.js';
import type { FileDelta } from './file-delta.js';
import type { LargeFile } from './parcel.js';
import type { BackupProgress } from './progress.js';
import type { SignatureSender } from './signature-sender.js';
import type { PartSlot } from './streams.js';

export interface LargeResult {
  /** The row of the file at the time of reading; its size is the number of bytes read. */
  readonly row: Buffer;
  readonly digest: Buffer;
  /** Features of the content, by which others find it. */
  readonly features: Uint8Array;
  readonly hasChanged: boolean;
  /**
   * True if the number of bytes read differs from the file's size, or the bytes differ from another reading, though
   * the file did not change.
   */
  readonly isInconsistent: boolean;
  /** Number of bytes read: those of the sparse form, if the file has one. */
  readonly readBytes: number;
  /** Size of the file according to the system. */
  readonly claimedBytes: number;
  readonly isSparse: boolean;
  /** The error of reading the attributes; empty if they could be read. */
  readonly incomplete: string;
}

/** Counts the bytes of a file that were not read: its holes, and bytes missing from an inconsistent file. */
export function countUnread(progress: BackupProgress, result: LargeResult): void {
  const unreadBytes = result.claimedBytes - result.readBytes;
  if (result.isSparse) progress.holeBytes += unreadBytes;
  else if (result.isInconsistent) progress.missingBytes += unreadBytes;
}

/** Returns a description of the inconsistency. */
export function inconsistency({ readBytes, claimedBytes, isSparse }: LargeResult): string {
  return isSparse || readBytes === claimedBytes
    ? 'two readings differ'
    : `gave ${readBytes} bytes, its size is ${claimedBytes}`;
}

/** Thrown if one file failed, but not the session. `reason` is the system's error code. */
export class UnreadableFile extends Error {
  constructor(readonly reason: string) {
    super(`a file could not be read: ${reason}`);
  }
}

export interface PartResult extends PartDigest {
  readonly digest: Buffer;
  readonly features: Uint8Array;
  readonly row: Buffer;
  readonly hasChanged: boolean;
  readonly wasClosed: boolean;
  readonly isInconsistent: boolean;
  readonly incomplete: string;
  /** True if the server had the content already. */
  readonly wasThere: boolean;
  /** True if the part has its block checksums. */
  readonly isSigned: boolean;
  /** Number of places that differ from the basis; infinite without a delta. */
  readonly edits: number;
}

/**
 * The source of the bytes that are sent: the file itself, or its sparse form, which is a map of its data and the data.
 */
export interface Source extends LargeFile {
  readonly sparseHead: Uint8Array | undefined;
  /** Number of bytes to send. */
  readonly formBytes: number;
  /** Block length of the signature; undefined if the content gets none. */
  readonly blockBytes: number | undefined;
}

/** A large file whose parts are being sent. */
export interface Sending extends Source {
  /** The bytes of the part that is sent, if they do not come from a file; `formBytes` are then those known so far. */
  readonly content?: Uint8Array;
  readonly isInParts: boolean;
  /** Encryption scheme of the file's records; undefined for the usual scheme. */
  readonly scheme: SchemeNumber | undefined;
  readonly delta: FileDelta | undefined;
  readonly signature: SignatureSender | undefined;
}

/** A part of a large file that is to be sent. */
export interface Part {
  readonly file: Sending;
  readonly offset: number;
  /** Number of parts before this one. */
  readonly number: number;
  readonly slot: PartSlot;
}

/** The readings of a part. At least one is defined. */
export interface PartReadings {
  /** Result of the reading that only hashed the part. */
  readonly first: RangeOutput | undefined;
  /** Result of the reading that was sent. */
  readonly sent: RangeOutput | undefined;
  /** True if the server has the hashed content, so that nothing is sent. */
  readonly wasThere: boolean;
}

export function nameOf({ row }: LargeFile): Buffer {
  return new RowReader(row).name(0);
}

export function pathOf(file: LargeFile): Buffer {
  return joinPath(file.directoryPath, nameOf(file));
}

/** True if two rows of a file have the same size, times and inode. */
export function isSameVersion(row: Buffer, other: Buffer): boolean {
  const isEqual = (from: number, to: number): boolean =>
    row.compare(other, from, to, from, to) === 0;
  return (
    isEqual(RowOffset.sizeBytes, RowOffset.birthTimeNs) &&
    isEqual(RowOffset.inode, RowOffset.device)
  );
}

/** True if two rows name the same user. */
export function isSameOwner(row: Buffer, other: Buffer): boolean {
  const { uid, gid } = RowOffset;
  return row.compare(other, uid, gid, uid, gid) === 0;
}

/** Returns the encryption scheme that the user chose for a file; undefined for the usual one. */
export function chosenScheme(
  choice: CipherChoice | undefined,
  { directoryPath, row }: LargeFile,
): SchemeNumber | undefined {
  return cryptFilter(choice)?.scheme(directoryPath, new RowReader(row).name(0));
}
