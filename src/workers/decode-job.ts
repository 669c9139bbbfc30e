/** Decodes one stored record, or one chunk of a large one, for a reader that keeps the decoded bytes. */
import { fetchHead, headIn, type RecordSource } from '../delta/index.js';
import { TardisError } from '../errors/index.js';
import { contentDigest, DIGEST_BYTES, releaseMemory, Scheme } from '../model/index.js';
import {
  decode,
  decodeChunk,
  MAX_FRAME_RAW_BYTES,
  mediumOf,
  type ObjectReader,
  openBody,
  readContentIndex,
  readFrameIndex,
  RECORD_CHUNKED,
  RECORD_HEADER_BYTES,
  RecordCipher,
  type RecordHeader,
  RecordKind,
  readHeader,
  STREAM_CHUNK_BYTES,
} from '../store/index.js';
import type { System } from '../system/index.js';
import type { ChunkToDecode, DecodeInput, DecodeOutput, JobResult } from './jobs.js';

const DIGEST_ROW_BYTES = DIGEST_BYTES + 8;
const NOTHING = new Uint8Array(0);
/** Stored bytes, in memory that all jobs of the thread use: its collector would free those of each job late. */
let storedRoom: Buffer = Buffer.alloc(0);

function room(bytes: number): Buffer {
  if (storedRoom.length < bytes) {
    releaseMemory(storedRoom);
    storedRoom = Buffer.allocUnsafeSlow(bytes);
  }
  return storedRoom.subarray(0, bytes);
}

const CHUNKED: DecodeOutput = { isWhole: false, bytes: NOTHING, digests: NOTHING };

export async function decodeJob(
  input: DecodeInput,
  system: System,
): Promise<JobResult<DecodeOutput>> {
  const { source, keys } = input;
  const backend =
    'directory' in source
      ? mediumOf(system, source.directory).records()
      : memoryReader(source.stored);
  try {
    const from = { backend, native: system.native, keys };
    const output =
      input.chunk === undefined
        ? await wholeRecord(input, from, system)
        : await chunkOf(input, input.chunk, from);
    const moved = [output.bytes, output.digests].map(({ buffer }) => buffer as ArrayBuffer);
    return { output, transfer: moved };
  } finally {
    backend.close();
  }
}

/** Returns a reader of one record that is in memory. */
function memoryReader(stored: Uint8Array): ObjectReader {
  return {
    read: async (_object, _position, target, bytes) => {
      target.set(stored.subarray(0, bytes));
      return Math.min(bytes, stored.length);
    },
    close: () => undefined,
  };
}

async function wholeRecord(
  { record, source }: DecodeInput,
  from: RecordSource,
  system: System,
): Promise<DecodeOutput> {
  // A record that is probably chunked is not read in vain.
  if (record.recordBytes > STREAM_CHUNK_BYTES && 'directory' in source) {
    const head = await fetchHead(from, record);
    if ((head.header.flags & RECORD_CHUNKED) !== 0) return CHUNKED;
  }
  const stored = room(record.recordBytes);
  const got = await from.backend.read(record.object, record.position, stored, stored.length);
  if (got !== stored.length) {
    throw new TardisError('RECORD_DAMAGED', `${record.object} is truncated`);
  }
  const { header, cipher } = headIn(from, record, stored);
  if ((header.flags & RECORD_CHUNKED) !== 0) return CHUNKED;
  if (header.rawBytes > MAX_FRAME_RAW_BYTES) {
    throw new TardisError('RECORD_DAMAGED', `a record in ${record.object} claims to be too large`);
  }
  const bytes = Buffer.allocUnsafeSlow(header.rawBytes);
  decode(header.codec, openBody(stored, header, cipher), bytes);
  return {
    isWhole: true,
    bytes,
    digests: digestsOf(stored, header, bytes, { keys: from.keys, native: system.native }),
  };
}

/** Returns the digests of the contents in a record. Kinds of records without contents have none. */
function digestsOf(
  stored: Buffer,
  header: RecordHeader,
  bytes: Buffer,
  { keys, native }: Pick<RecordSource, 'keys'> & Pick<System, 'native'>,
): Uint8Array {
  const index = stored.subarray(RECORD_HEADER_BYTES, RECORD_HEADER_BYTES + header.indexBytes);
  const isContent = header.kind === RecordKind.content || header.kind === RecordKind.part;
  let contents: readonly { readonly offset: number; readonly sizeBytes: number }[] = [];
  if (header.kind === RecordKind.frame) contents = readFrameIndex(header, index);
  else if (isContent) contents = [{ offset: 0, sizeBytes: readContentIndex(index).sizeBytes }];
  const digests = Buffer.allocUnsafeSlow(contents.length * DIGEST_ROW_BYTES);
  let at = 0;
  const digest = Buffer.alloc(DIGEST_BYTES);
  for (const { offset, sizeBytes } of contents) {
    if (offset + sizeBytes > bytes.length) {
      throw new TardisError('RECORD_DAMAGED', 'a content is longer than its record');
    }
    native.sha256(bytes, offset, sizeBytes, digest, 0);
    contentDigest(native, keys, digest);
    digest.copy(digests, at);
    digests.writeUInt32LE(offset, at + DIGEST_BYTES);
    digests.writeUInt32LE(sizeBytes, at + DIGEST_BYTES + 4);
    at += DIGEST_ROW_BYTES;
  }
  return digests;
}

async function chunkOf(
  { record, source }: DecodeInput,
  chunk: ChunkToDecode,
  { backend, native, keys }: RecordSource,
): Promise<DecodeOutput> {
  const head = Buffer.from(chunk.head.buffer, chunk.head.byteOffset, chunk.head.byteLength);
  const header = readHeader(head, 0);
  if (header === undefined) throw new TardisError('RECORD_DAMAGED', 'a record has no header');
  const isPlain = header.scheme === Scheme.plain;
  const cipher = isPlain || keys === undefined ? undefined : new RecordCipher(native, keys, header);
  const stored = room(chunk.storedBytes);
  const position = 'directory' in source ? record.position + chunk.at : 0;
  const got = await backend.read(record.object, position, stored, stored.length);
  if (got !== stored.length) {
    throw new TardisError('RECORD_DAMAGED', `${record.object} is truncated`);
  }
  const bytes = Buffer.allocUnsafeSlow(chunk.sizeBytes);
  const place = cipher && { cipher, number: chunk.number };
  decodeChunk(header.codec, chunk, { stored, target: bytes, place });
  return { isWhole: true, bytes, digests: NOTHING };
}
