/** Records of contents, one at a time. */
import { BytesBuilder } from '../../src/model/index.js';
import {
  buildContent,
  buildFrame,
  type Compression,
  DirectoryBackend,
  listPacks,
  type RecordHeader,
  scanPack,
  type Slice,
} from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { sha256 } from './rows.js';

/** A frame of contents that stand somewhere in `source`. */
export function frameRecord(
  source: Buffer,
  slices: readonly Slice[],
  compression: Compression,
): Buffer {
  const target = new BytesBuilder(64);
  buildFrame(source, slices, compression, target);
  return target.take();
}

/** A record of a content that stands somewhere in `source`. */
export function contentRecord(source: Buffer, slice: Slice, compression: Compression): Buffer {
  const target = new BytesBuilder(64);
  buildContent(source, slice, compression, target);
  return target.take();
}

/** The headers of all records in the packs of a client's directory, in their order. */
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

/** Contents one after another, with `gap` other bytes behind each. */
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
