/** Contents for a zip archive: checksums, holes as zeros, and deflate if it saves space. */
import { deflateRaw, deflateRawSync, constants } from 'node:zlib';
import { promisify } from 'node:util';
import { TardisError } from '../errors/index.js';

const deflate = promisify(deflateRaw);

/** Number of bytes that are compressed as a unit. Several units are compressed in parallel threads. */
export const BLOCK_BYTES = 1 << 20;
/** Maximum number of blocks that are compressed at once. */
const MAX_BLOCKS = 4;
const SAMPLE_BYTES = 16 << 10;
/** Minimum size of a content for which compression is tried. */
const LEAST_BYTES = 128;
/** A content is compressed only if its sample shrinks to less than this share of its size. */
const WORTH_SHARE = 0.9;
/** Compression level. It is a fast one, since a reader waits for the archive. */
const LEVEL = 1;
/** The last block of a deflated content: empty, with the final bit. */
const LAST_BLOCK = Buffer.from([0x03, 0x00]);

/** True if a sample from the beginning of a content shrinks enough. */
export function isWorthDeflating(start: Buffer): boolean {
  if (start.length < LEAST_BYTES) return false;
  const sample = start.subarray(0, SAMPLE_BYTES);
  return deflateRawSync(sample, { level: LEVEL }).length < sample.length * WORTH_SHARE;
}

/** Returns a whole content in deflated form. */
export function deflated(content: Buffer): Promise<Buffer> {
  return deflate(content, { level: LEVEL });
}

/**
 * Yields the deflated form of a content. Its blocks are compressed in several threads; deflated blocks can be
 * concatenated.
 */
export async function* deflatedBlocks(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const running: Promise<Buffer>[] = [];
  const options = { level: LEVEL, finishFlush: constants.Z_SYNC_FLUSH };
  try {
    for await (const block of blocksOf(chunks)) {
      const making = deflate(block, options);
      making.catch(() => undefined); // the error is thrown when the block is awaited
      running.push(making);
      if (running.length >= MAX_BLOCKS) yield await running.shift()!;
    }
    while (running.length > 0) yield await running.shift()!;
  } finally {
    await Promise.allSettled(running);
  }
  yield LAST_BLOCK;
}

/** Yields a content in blocks of one size, which the receiver may keep. */
async function* blocksOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let block = Buffer.allocUnsafe(BLOCK_BYTES);
  let used = 0;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; ) {
      const copied = chunk.copy(block, used, at);
      used += copied;
      at += copied;
      if (used < BLOCK_BYTES) continue;
      yield block;
      block = Buffer.allocUnsafe(BLOCK_BYTES);
      used = 0;
    }
  }
  if (used > 0) yield block.subarray(0, used);
}

/**
 * Returns a whole content if it has at most `limit` bytes. Otherwise returns its beginning, which is valid until the
 * rest is read. `sizeBytes` is its probable size. Throws CONTENT_DAMAGED.
 */
export async function begun(
  chunks: AsyncIterable<Buffer>,
  limit: number,
  sizeBytes: number,
): Promise<{ readonly start: Buffer; readonly rest: AsyncIterator<Buffer> | undefined }> {
  const iterator = chunks[Symbol.asyncIterator]();
  if (sizeBytes > limit) {
    const first = await iterator.next();
    if (first.done !== true) return { start: first.value, rest: iterator };
  }
  const parts: Buffer[] = [];
  let bytes = 0;
  while (bytes <= limit) {
    const next = await iterator.next();
    if (next.done === true) return { start: Buffer.concat(parts, bytes), rest: undefined };
    parts.push(Buffer.from(next.value));
    bytes += next.value.length;
  }
  return { start: Buffer.concat(parts, bytes), rest: iterator };
}

/** Yields the beginning of a content and its rest. Throws CONTENT_DAMAGED if it has more than `maxBytes`. */
export async function* joined(
  start: Buffer,
  rest: AsyncIterator<Buffer>,
  maxBytes: number,
): AsyncGenerator<Buffer> {
  let bytes = start.length;
  try {
    yield start;
    for (;;) {
      const next = await rest.next();
      if (next.done === true) return;
      bytes += next.value.length;
      if (bytes > maxBytes) {
        throw new TardisError('CONTENT_DAMAGED', 'there are more bytes than there should be');
      }
      yield next.value;
    }
  } finally {
    await rest.return?.();
  }
}
