/** Reads bytes of records from the store, and prepares their decryption. */
import { asTardisError, recordDamaged, systemCode, TardisError } from '../errors/index.js';
import { type ContentKeys, Scheme } from '../model/index.js';
import {
  type ObjectReader,
  readHeader,
  RECORD_CHUNKED,
  RECORD_HEADER_BYTES,
  recordBytes,
  RecordCipher,
  type RecordHeader,
} from '../store/index.js';
import type { NativeCalls, SealingCalls } from '../system/index.js';
import type { RecordPlace } from './stored-piece.js';

/** The calls and keys with which heads of records are opened. */
export interface HeadOpener {
  readonly native: SealingCalls;
  /** Keys of a client that encrypts. */
  readonly keys: ContentKeys | undefined;
}

/** The calls and keys with which records are decoded. */
export interface RecordOpener extends HeadOpener {
  readonly native: NativeCalls;
}

/** The store that holds records, and what decodes them. */
export interface RecordSource extends RecordOpener {
  readonly backend: ObjectReader;
}

/** The header of a record and its cipher. */
export interface RecordHead {
  readonly header: RecordHeader;
  /** Cipher of the record; undefined if it is not encrypted. */
  readonly cipher: RecordCipher | undefined;
}

/**
 * Fills `target` with the bytes of a record from `from` on. Throws RECORD_DAMAGED if the record is shorter, or its file
 * is shorter or missing; `context.isGone` is then true for a missing file. Throws IO_FAILED or the like if the disk
 * fails.
 */
export async function fetchRecord(
  backend: ObjectReader,
  record: RecordPlace,
  from: number,
  target: Buffer,
): Promise<Buffer> {
  const bytes = target.length;
  if (from + bytes > record.recordBytes) {
    throw recordDamaged(`a record in ${record.object} ends too early`);
  }
  let got: number;
  try {
    got = await backend.read(record.object, record.position + from, target, bytes);
  } catch (error) {
    throw unreadRecord(error, record.object);
  }
  if (got !== bytes) throw truncated(record.object);
  return target;
}

/** Returns the error to report when an object cannot be read. */
export function unreadRecord(error: unknown, object: string): TardisError {
  // Only a missing file is damage; another error of the disk may be temporary.
  if (systemCode(error) !== 'ENOENT') return asTardisError(error, `reading ${object}`, 'readStore');
  // The record may have been moved after the caller looked it up. With `isGone` the caller looks it up again.
  return recordDamaged(`${object} is missing`, { isGone: true }, error);
}

/** True if a record was not where it had been located, since it may have been moved: it is then located once more. */
export function mayHaveMoved(error: unknown): boolean {
  return error instanceof TardisError && error.context['isGone'] === true;
}

/** Returns the error for a record whose bytes are wrong. */
export function damagedRecord({ object, position }: RecordPlace): TardisError {
  return recordDamaged(`a record in ${object} is damaged`, { position });
}

/** Returns the error to report when an object ends within a record. */
export function truncated(object: string): TardisError {
  return recordDamaged(`${object} is truncated`);
}

/** Returns the header at the beginning of `bytes`. Throws RECORD_DAMAGED if it does not belong to this record. */
export function headerOf(record: RecordPlace, bytes: Buffer): RecordHeader {
  const header = readHeader(bytes, 0);
  if (header === undefined || recordBytes(header) !== record.recordBytes) {
    throw recordDamaged(`a record is not at its place in ${record.object}`);
  }
  return header;
}

/**
 * Reads the header of a record. For an encrypted record, checks that its chunks belong together. Throws RECORD_DAMAGED
 * if a check fails, PASSWORD_NEEDED if a key is needed and there is none, and the errors of `fetchRecord`.
 */
export async function fetchHead(source: RecordSource, record: RecordPlace): Promise<RecordHead> {
  const start = Buffer.allocUnsafe(RECORD_HEADER_BYTES);
  const header = headerOf(record, await fetchRecord(source.backend, record, 0, start));
  if (header.scheme === Scheme.plain || (header.flags & RECORD_CHUNKED) === 0) {
    return headIn(source, record, start);
  }
  const bytes = Buffer.allocUnsafe(RECORD_HEADER_BYTES + header.indexBytes);
  return headIn(source, record, await fetchRecord(source.backend, record, 0, bytes));
}

/** Returns the head of a record whose beginning is already in memory. Checks it and throws as `fetchHead` does. */
export function headIn(source: HeadOpener, record: RecordPlace, bytes: Buffer): RecordHead {
  const header = headerOf(record, bytes);
  if (header.scheme === Scheme.plain) {
    if (source.keys === undefined) return { header, cipher: undefined };
    // All contents of a client that encrypts have a tag made with its keys, so another program has written this record.
    throw recordDamaged('a record is not encrypted, although this client encrypts');
  }
  if (source.keys === undefined) {
    throw new TardisError('PASSWORD_NEEDED', 'the stored data is encrypted');
  }
  const cipher = new RecordCipher(source.native, source.keys, header);
  if ((header.flags & RECORD_CHUNKED) !== 0) {
    const indexEnd = RECORD_HEADER_BYTES + header.indexBytes;
    const index = bytes.subarray(RECORD_HEADER_BYTES, indexEnd);
    cipher.checkSeal(header.kind, header.codec, header.rawBytes, index);
  }
  return { header, cipher };
}
