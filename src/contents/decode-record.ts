/** Decodes one stored record, or one chunk of a large one, with steps that may run in this thread or in another. */
import { TardisError } from '../errors/index.js';
import { bufferOf, contentDigest, DIGEST_BYTES, Scheme } from '../model/index.js';
import {
  Codec,
  type CodecNumber,
  readHeader,
  RECORD_CHUNKED,
  RECORD_HEADER_BYTES,
  RecordCipher,
  type RecordHeader,
  type SealedBody,
  sealedBody,
  sealedChunk,
  STREAM_CHUNK_BYTES,
} from '../store/index.js';
import { CONTENT_ROW_BYTES, type System } from '../system/index.js';
import type { ChunkToDecode, ContentToDecode, DecodeInput, DecodeOutput } from './decode-types.js';
import { fetchHead, fetchRecord, type RecordSource } from './record-head.js';
import type { RecordPlace } from './stored-piece.js';
import { contentsIn, wholeHead } from './whole-record.js';

const NOTHING = Buffer.alloc(0);
const CHUNKED: DecodeOutput = { isWhole: false, bytes: NOTHING, digests: NOTHING, startBytes: 0 };

/** A body of a record or chunk, and buffers for the result. */
export interface BodyToDecode {
  readonly codec: CodecNumber;
  readonly sealed: SealedBody;
  /** Receives the decoded bytes, and has exactly their length. */
  readonly target: Buffer;
  /** Each row has an offset and a size in `target`, and receives the SHA-256 of those bytes. */
  readonly contents: Buffer;
  /**
   * If given, only a part is decoded: the bytes from position `from` on that fill `target`. The whole body decodes to
   * `rawBytes` bytes.
   */
  readonly part?: { readonly from: number; readonly rawBytes: number } | undefined;
}

/** The steps that take time. */
export interface DecodingSteps {
  /** Returns memory for stored bytes, which the next call may reuse. */
  room(bytes: number): Buffer;
  /** Returns memory for decoded bytes, which becomes the caller's. */
  target(bytes: number): Buffer;
  /** Decrypts and decodes a body, or a part of one. Throws RECORD_DAMAGED. */
  decode(body: BodyToDecode): Promise<void> | void;
  /** Reads and decodes in one step, if that is possible. */
  readonly fromFile?: StepsFromFile | undefined;
}

/** The steps for a record in a file, whose body needs no memory of JavaScript. */
export interface StepsFromFile {
  /** Reads at most so many bytes (RECORD_START_BYTES or fewer) from the beginning of a record. Throws RECORD_DAMAGED, IO_FAILED. */
  head(record: RecordPlace, bytes: number): Buffer;
  /**
   * Decodes a body that begins at a position of the record. `body.sealed` is without its bytes. Throws RECORD_DAMAGED,
   * IO_FAILED.
   */
  decode(
    body: BodyToDecode,
    record: RecordPlace,
    place: { readonly at: number; readonly bytes: number },
  ): Promise<void>;
}

/** Decodes the selected part of the input, with records that are read by `from`. Throws RECORD_DAMAGED, IO_FAILED. */
export async function decodeRecord(
  input: DecodeInput,
  from: RecordSource,
  system: System,
  steps: DecodingSteps,
): Promise<DecodeOutput> {
  return input.chunk === undefined
    ? wholeRecord(input, from, system, steps)
    : chunkOf(input, input.chunk, from, steps);
}

/** Maximum number of bytes that are read of a record before its body: header and index of most records. */
export const RECORD_START_BYTES: number = 8 << 10;

/** Maximum size of a body that `decodeStoredAside` takes. */
const MAX_BODY_BYTES = 32 << 20;

async function wholeRecord(
  input: DecodeInput,
  from: RecordSource,
  system: System,
  steps: DecodingSteps,
): Promise<DecodeOutput> {
  const { record } = input;
  const read = await startOf(input, from, steps);
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
  const bytes = steps.target(endBytes - startBytes);
  const part = some && { from: startBytes, rawBytes };
  moveOffsets(digests, -startBytes); // those in `bytes`
  const body = { codec, sealed, target: bytes, contents: digests, part };
  if (isWhole) await steps.decode(body);
  else {
    const place = { at: RECORD_HEADER_BYTES + indexBytes, bytes: bodyBytes };
    await steps.fromFile!.decode(body, record, place);
  }
  moveOffsets(digests, startBytes);
  for (let at = 0; at < digests.length; at += CONTENT_ROW_BYTES) {
    contentDigest(system.native, from.keys, digests, at);
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
  steps: DecodingSteps,
): Promise<{ readonly start: Buffer; readonly isWhole: boolean } | undefined> {
  const head = steps.fromFile?.head(record, Math.min(record.recordBytes, RECORD_START_BYTES));
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
  const stored = steps.room(record.recordBytes);
  return { start: await fetchRecord(from.backend, record, 0, stored), isWhole: true };
}

/**
 * True if the addon can decode the body from the file. It has no other codecs, and does not check the tags of
 * `Scheme.readable`.
 */
export function isDecodedFromFile({ codec, scheme, bodyBytes }: RecordHeader): boolean {
  const hasCodec = codec === Codec.none || codec === Codec.zstd;
  return hasCodec && scheme !== Scheme.readable && bodyBytes <= MAX_BODY_BYTES;
}

/** Rows of some contents of a record, and the range in which they lie. */
interface Some {
  readonly rows: Buffer;
  readonly startBytes: number;
  readonly endBytes: number;
}

/** Returns the rows of contents in ascending order; undefined if the record lacks one of them. */
function rowsOf(all: Buffer, contents: readonly ContentToDecode[]): Some | undefined {
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
  steps: DecodingSteps,
): Promise<DecodeOutput> {
  const head = bufferOf(chunk.head);
  const header = readHeader(head, 0);
  if (header === undefined) throw new TardisError('RECORD_DAMAGED', 'a record has no header');
  const isPlain = header.scheme === Scheme.plain;
  const cipher = isPlain || keys === undefined ? undefined : new RecordCipher(native, keys, header);
  const stored = steps.room(chunk.storedBytes);
  await fetchRecord(backend, record, chunk.at, stored);
  const bytes = steps.target(chunk.sizeBytes);
  const sealed = sealedChunk(chunk, stored, cipher && { cipher, number: chunk.number });
  const codec = chunk.isRaw ? Codec.none : header.codec;
  await steps.decode({ codec, sealed, target: bytes, contents: NOTHING });
  return { isWhole: true, bytes, digests: NOTHING, startBytes: 0 };
}
