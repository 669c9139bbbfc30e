/**
 * Reads and decodes records on threads of libuv's pool. These share the memory of the process, whereas a worker thread
 * has its own heap and compiled code.
 */
import path from 'node:path';
import { asTardisError, recordDamaged } from '../errors/index.js';
import {
  bufferOf,
  contentDigest,
  type ContentKeys,
  DIGEST_BYTES,
  NO_BYTES,
  releaseAll,
  Scheme,
} from '../model/index.js';
import {
  type ChunkHeader,
  type ClientDirectory,
  Codec,
  type ObjectReader,
  readHeader,
  RECORD_CHUNKED,
  RECORD_HEADER_BYTES,
  RecordCipher,
  type RecordHeader,
  sealedBody,
  sealedChunk,
  STREAM_CHUNK_BYTES,
  unreadable,
} from '../store/index.js';
import {
  DecodeOutcome,
  BODY_PLACE_BYTES,
  CONTENT_ROW_BYTES,
  Credit,
  type System,
} from '../system/index.js';
import {
  type BodyToDecode,
  decodeBody,
  isDecodedByAddon,
  PLAIN,
  requireDecoded,
} from './body-decoder.js';
import { type KeptFile, KeptFiles } from './kept-files.js';
import {
  fetchHead,
  fetchRecord,
  type RecordSource,
  truncated,
  unreadRecord,
} from './record-head.js';
import type { SpareMemory } from './spare-memory.js';
import type { ContentPlace, RecordPlace } from './stored-piece.js';
import { contentsIn, wholeHead } from './whole-record.js';

/** Maximum number of records that are decoded at once, since other reads need threads of libuv's pool too. */
const DECODED_AT_ONCE = 2;

/** A stored record, or one chunk of it, to decode. */
export interface DecodeInput {
  /** The client from whose directory the job reads records, or the stored bytes themselves. */
  readonly source: { readonly directory: ClientDirectory } | { readonly stored: Uint8Array };
  readonly record: RecordPlace;
  /** If given, one chunk is decoded; `source.stored` then has the chunk without its header. */
  readonly chunk?: ChunkToDecode | undefined;
  /** If given, only these contents of a record in one piece are decoded, in ascending order, with what lies between them. */
  readonly contents?: readonly ContentPlace[] | undefined;
  /** Set if the client encrypts. */
  readonly keys?: ContentKeys | undefined;
}

interface ChunkToDecode extends ChunkHeader {
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

export class RecordDecoder {
  private readonly turns: Credit;
  /** Packs that were read last. */
  readonly opened: KeptFiles;
  /** Memory for heads of records: at most one for each record that is decoded at once. */
  readonly heads: Buffer[] = [];

  /**
   * `mostAtOnce`: number of records that are decoded at once. Further requests wait, and hold no memory while they
   * wait. `spare` is given if the caller gives decoded bytes back (`reuse`).
   */
  constructor(
    readonly system: System,
    mostAtOnce: number = DECODED_AT_ONCE,
    private readonly spare?: SpareMemory,
  ) {
    this.turns = new Credit(mostAtOnce);
    this.opened = new KeptFiles(system);
  }

  /** Decodes a record. Throws a TardisError. The memory of `input.source.stored` is freed. */
  decode(input: DecodeInput): Promise<DecodeOutput> {
    return this.turns.run(async () => {
      const work = new Decoding(this, input.source);
      const from = { backend: work, native: this.system.native, keys: input.keys };
      try {
        return input.chunk === undefined
          ? await wholeRecord(input, from, work)
          : await chunkOf(input, input.chunk, from, work);
      } catch (error) {
        throw asTardisError(error, 'decoding');
      } finally {
        work.close();
      }
    });
  }

  /** Returns memory for decoded bytes. */
  target(bytes: number): Buffer {
    return this.spare?.take(bytes) ?? Buffer.allocUnsafeSlow(bytes);
  }

  /** Takes back decoded bytes that are no longer needed: frees their memory, or uses it again. */
  reuse(blocks: readonly Buffer[]): void {
    if (this.spare === undefined) releaseAll(blocks);
    else this.spare.giveBack(blocks);
  }

  /** Closes the files that are open for the next records. It must be called when other files have their paths. */
  forget(): void {
    this.opened.forget();
  }
}

/**
 * Reads and decodes one record: of a client's directory, or one whose bytes are in memory. Only to open files, and to
 * read the heads of records, it blocks this thread.
 */
class Decoding implements ObjectReader {
  private readonly system: System;
  private readonly rooms: Buffer[] = [];
  private readonly usedHeads: Buffer[] = [];
  /** The files that are in use until `close`, by the names of the objects. */
  private readonly used = new Map<string, KeptFile>();

  constructor(
    private readonly decoder: RecordDecoder,
    private readonly source: DecodeInput['source'],
  ) {
    this.system = decoder.system;
  }

  /** Returns memory for stored bytes, which is freed at the end. */
  room(bytes: number): Buffer {
    const room = Buffer.allocUnsafeSlow(bytes);
    this.rooms.push(room);
    return room;
  }

  /** Returns memory for decoded bytes, which becomes the caller's. */
  target(bytes: number): Buffer {
    return this.decoder.target(bytes);
  }

  async read(name: string, position: number, target: Uint8Array, bytes: number): Promise<number> {
    if ('stored' in this.source) {
      target.set(this.source.stored.subarray(0, bytes));
      return Math.min(bytes, this.source.stored.length);
    }
    try {
      return await this.system.native.readAsync(this.fd(name), position, target.subarray(0, bytes));
    } catch (error) {
      throw unreadable(error, name);
    }
  }

  /**
   * Returns at most `bytes` bytes (RECORD_START_BYTES or fewer) from the beginning of a record; undefined if its bytes
   * are in memory. Throws RECORD_DAMAGED, IO_FAILED.
   */
  head({ object, position }: RecordPlace, bytes: number): Buffer | undefined {
    if ('stored' in this.source) return undefined;
    // Decodings share this memory one after the other: the garbage collector would free it late.
    const head = this.decoder.heads.pop() ?? Buffer.allocUnsafeSlow(RECORD_START_BYTES);
    this.usedHeads.push(head);
    try {
      const got = this.system.files.read(this.fd(object), head, 0, bytes, position);
      return head.subarray(0, got);
    } catch (error) {
      throw unreadRecord(unreadable(error, object), object);
    }
  }

  /** Decrypts and decodes a body, or a part of one. Throws RECORD_DAMAGED. */
  decode(body: BodyToDecode): Promise<void> {
    return decodeBody(this.system.native, body);
  }

  /**
   * Decodes a body that begins at a position of the record. `body.sealed` is without its bytes. Throws RECORD_DAMAGED,
   * IO_FAILED.
   */
  async decodeInFile(
    { codec, sealed, target, contents, part }: BodyToDecode,
    { object, position }: RecordPlace,
    { at, bytes }: { readonly at: number; readonly bytes: number },
  ): Promise<void> {
    const place = Buffer.alloc(BODY_PLACE_BYTES);
    place.writeDoubleLE(position + at, 0);
    place.writeDoubleLE(bytes, 8);
    place.writeDoubleLE(part?.from ?? -1, 16);
    const { cipher, key, nonce, also } = sealed.opening ?? PLAIN;
    const { native } = this.system;
    let outcome: number;
    try {
      const fd = this.fd(object);
      const body = [cipher, key, nonce, also, place, codec, target, contents, fd] as const;
      outcome = await native.decodeStoredAsync(...body);
    } catch (error) {
      throw unreadRecord(unreadable(error, object), object);
    }
    if (outcome === DecodeOutcome.truncated) throw truncated(object);
    requireDecoded(outcome);
  }

  close(): void {
    releaseAll('stored' in this.source ? [...this.rooms, this.source.stored] : this.rooms);
    this.decoder.heads.push(...this.usedHeads.splice(0));
    for (const file of this.used.values()) this.decoder.opened.leave(file);
    this.used.clear();
  }

  private fd(name: string): number {
    const { directory } = this.source as Extract<DecodeInput['source'], { directory: unknown }>;
    const known = this.used.get(name);
    const file = known ?? this.decoder.opened.use(path.join(directory.path, name));
    this.used.set(name, file);
    return file.fd;
  }
}

const CHUNKED: DecodeOutput = { isWhole: false, bytes: NO_BYTES, digests: NO_BYTES, startBytes: 0 };

/** Maximum number of bytes that are read of a record before its body: header and index of most records. */
export const RECORD_START_BYTES: number = 8 << 10;

/** Maximum size of a body that `decodeStoredAsync` takes. */
const MAX_BODY_BYTES = 32 << 20;

async function wholeRecord(
  input: DecodeInput,
  from: RecordSource,
  work: Decoding,
): Promise<DecodeOutput> {
  const { record } = input;
  const read = await startOf(input, from, work);
  if (read === undefined) return CHUNKED;
  const { start, isWhole } = read;
  const head = wholeHead(from, record, start);
  if (head === undefined) return CHUNKED;
  const { header, cipher } = head;
  const { codec, rawBytes, indexBytes, bodyBytes } = header;
  const sealed = sealedBody(start, header, cipher);
  const all = contentsOf(start, header);
  const some = input.contents && rowsOf(all, input.contents);
  const {
    rows: digests,
    startBytes,
    endBytes,
  } = some ?? { rows: all, startBytes: 0, endBytes: rawBytes };
  const bytes = work.target(endBytes - startBytes);
  const part = some && { from: startBytes, rawBytes };
  moveOffsets(digests, -startBytes); // those in `bytes`
  const body = { codec, sealed, target: bytes, contents: digests, part };
  if (isWhole) await work.decode(body);
  else {
    const place = { at: RECORD_HEADER_BYTES + indexBytes, bytes: bodyBytes };
    await work.decodeInFile(body, record, place);
  }
  moveOffsets(digests, startBytes);
  for (let at = 0; at < digests.length; at += CONTENT_ROW_BYTES) {
    contentDigest(from.native, from.keys, digests, at);
  }
  return { isWhole: true, bytes, digests, startBytes };
}

/**
 * Reads a record, or only its header and index if its body can be decoded from the file. Returns undefined for some
 * records in chunks; others are returned.
 */
async function startOf(
  { record, source }: DecodeInput,
  from: RecordSource,
  work: Decoding,
): Promise<{ readonly start: Buffer; readonly isWhole: boolean } | undefined> {
  const head = work.head(record, Math.min(record.recordBytes, RECORD_START_BYTES));
  const header = head === undefined ? undefined : readHeader(head, 0);
  if (header !== undefined && (header.flags & RECORD_CHUNKED) !== 0) return undefined;
  const headBytes = RECORD_HEADER_BYTES + (header?.indexBytes ?? Infinity);
  if (header !== undefined && headBytes <= head!.length && isDecodedFromFile(header)) {
    return { start: head!, isWhole: false };
  }
  // A large record is probably chunked, so its head is read first.
  if (record.recordBytes > STREAM_CHUNK_BYTES && 'directory' in source) {
    const whole = await fetchHead(from, record);
    if ((whole.header.flags & RECORD_CHUNKED) !== 0) return undefined;
  }
  const stored = work.room(record.recordBytes);
  return { start: await fetchRecord(from.backend, record, 0, stored), isWhole: true };
}

/**
 * True if the addon can decode the body from the file. It has no other codecs, and does not check the tags of
 * `Scheme.readable`.
 */
export function isDecodedFromFile({ codec, scheme, bodyBytes }: RecordHeader): boolean {
  return isDecodedByAddon(codec) && scheme !== Scheme.readable && bodyBytes <= MAX_BODY_BYTES;
}

/** Rows of some contents of a record, and the range in which they lie. */
interface Some {
  readonly rows: Buffer;
  readonly startBytes: number;
  readonly endBytes: number;
}

/** Returns the rows of contents in ascending order; undefined if the record lacks one of them. */
function rowsOf(all: Buffer, contents: readonly ContentPlace[]): Some | undefined {
  const rows: Buffer[] = [];
  let endBytes = 0;
  for (let at = 0; at < all.length && rows.length < contents.length; at += CONTENT_ROW_BYTES) {
    const { offset, sizeBytes } = contents[rows.length]!;
    const isIt =
      all.readUInt32LE(at + DIGEST_BYTES) === offset &&
      all.readUInt32LE(at + DIGEST_BYTES + 4) === sizeBytes;
    if (!isIt) continue;
    rows.push(all.subarray(at, at + CONTENT_ROW_BYTES));
    endBytes = Math.max(endBytes, offset + sizeBytes);
  }
  if (rows.length < contents.length || rows.length === 0) return undefined;
  return { rows: Buffer.concat(rows), startBytes: contents[0]!.offset, endBytes };
}

function moveOffsets(rows: Buffer, byBytes: number): void {
  for (let at = DIGEST_BYTES; at < rows.length; at += CONTENT_ROW_BYTES) {
    rows.writeUInt32LE(rows.readUInt32LE(at) + byBytes, at);
  }
}

/** Returns a row for each content of a record. Kinds of records without contents have none. Throws RECORD_DAMAGED. */
function contentsOf(stored: Buffer, header: RecordHeader): Buffer {
  const index = stored.subarray(RECORD_HEADER_BYTES, RECORD_HEADER_BYTES + header.indexBytes);
  const contents = contentsIn(header, index);
  const rows = Buffer.allocUnsafeSlow(contents.length * CONTENT_ROW_BYTES);
  let at = 0;
  for (const { offset, sizeBytes } of contents) {
    rows.writeUInt32LE(offset, at + DIGEST_BYTES);
    rows.writeUInt32LE(sizeBytes, at + DIGEST_BYTES + 4);
    at += CONTENT_ROW_BYTES;
  }
  return rows;
}

async function chunkOf(
  { record }: DecodeInput,
  chunk: ChunkToDecode,
  { backend, native, keys }: RecordSource,
  work: Decoding,
): Promise<DecodeOutput> {
  const head = bufferOf(chunk.head);
  const header = readHeader(head, 0);
  if (header === undefined) throw recordDamaged('a record has no header');
  const isPlain = header.scheme === Scheme.plain;
  const cipher = isPlain || keys === undefined ? undefined : new RecordCipher(native, keys, header);
  const stored = work.room(chunk.storedBytes);
  await fetchRecord(backend, record, chunk.at, stored);
  const bytes = work.target(chunk.sizeBytes);
  const sealed = sealedChunk(chunk, stored, cipher && { cipher, number: chunk.number });
  const codec = chunk.isRaw ? Codec.none : header.codec;
  await work.decode({ codec, sealed, target: bytes, contents: NO_BYTES });
  return { isWhole: true, bytes, digests: NO_BYTES, startBytes: 0 };
}
