/** Builds and reads single records of contents. */
import { crc32 } from 'node:zlib';
import { BytesBuilder } from '../../src/model/index.js';
import {
  buildChunk,
  buildContent,
  buildFrame,
  type CodecNumber,
  type Compression,
  DirectoryBackend,
  listPacks,
  RECORD_CHUNKED,
  RECORD_HEADER_BYTES,
  type RecordCipher,
  type RecordHeader,
  RecordKind,
  scanPack,
  type Slice,
  writeContentIndex,
  writeHeader,
} from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { sha256 } from './rows.js';

/** Returns a frame of contents that are parts of `source`. */
export function frameRecord(
  source: Buffer,
  slices: readonly Slice[],
  compression: Compression,
  cipher?: RecordCipher,
): Buffer {
  const target = new BytesBuilder(64);
  buildFrame(source, slices, { compression, target, cipher });
  return target.take();
}

/** Returns a record of a content that is a part of `source`. */
export function contentRecord(source: Buffer, slice: Slice, compression: Compression): Buffer {
  const target = new BytesBuilder(64);
  buildContent(source, slice, { compression, target });
  return target.take();
}

/** Returns the headers of all records in the packs of a client's directory, in order. */
export async function recordsIn(clientPath: string): Promise<RecordHeader[]> {
  const backend = new DirectoryBackend(clientPath, nodeSystem().files);
  const headers: RecordHeader[] = [];
  try {
    for (const pack of await listPacks(backend)) {
      for await (const { header } of scanPack(backend, pack, 0)) headers.push(header);
    }
  } finally {
    backend.close();
  }
  return headers;
}

/** Returns contents joined, with `gap` other bytes after each. */
export function sliced(
  contents: readonly Uint8Array[],
  gap = 0,
): { source: Buffer; slices: Slice[] } {
  const pieces: Uint8Array[] = [];
  let start = 0;
  const slices = contents.map((content) => {
    pieces.push(content, Buffer.alloc(gap, 0xee));
    const slice = { digest: sha256(content), start, sizeBytes: content.length };
    start += content.length + gap;
    return slice;
  });
  return { source: Buffer.concat(pieces), slices };
}

/** Returns a record of a content in chunks small enough for a test. */
export function chunkedRecord(content: Buffer, chunkBytes: number, codec: CodecNumber): Buffer {
  const chunks: Buffer[] = [];
  for (let at = 0; at < content.length; at += chunkBytes) {
    chunks.push(buildChunk(content.subarray(at, at + chunkBytes), { codec, level: 1 }));
  }
  const index = writeContentIndex({
    digest: sha256(content),
    sizeBytes: content.length,
    fileSizeBytes: content.length,
    chunkBytes,
  });
  const body = Buffer.concat(chunks);
  const record = Buffer.concat([Buffer.alloc(RECORD_HEADER_BYTES), index, body]);
  writeHeader(record, 0, {
    kind: RecordKind.content,
    codec,
    flags: RECORD_CHUNKED,
    rawBytes: content.length,
    bodyBytes: body.length,
    indexBytes: index.length,
    bodyChecksum: crc32(index),
  });
  return record;
}

/** Returns a key record with a right checksum, and a password that nobody knows. */
export function keyRecord(fill: number): Buffer {
  const bytes = Buffer.alloc(64, fill);
  bytes.writeUInt32LE(1, 12);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 60)), 60);
  return bytes;
}
