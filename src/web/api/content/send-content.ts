/** Answers a request for the bytes of a file: conditions, ranges, HEAD. WebDAV uses it too. */
import { createHash, type Hash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { HistoryEntry } from '../../../history/index.js';
import { TardisError } from '../../../errors/index.js';
import { EntryType, lastComponent } from '../../../model/index.js';
import type { Lease } from '../door.js';
import { CONTENT_GUARDS, dispositionOf, typeOf } from './content-headers.js';
import type { ByteRange } from './open-contents.js';
import { rangesIn } from './ranges.js';

interface SentContent {
  readonly lease: Pick<Lease, 'history' | 'contents'>;
  readonly entry: HistoryEntry;
  readonly path: Buffer;
  readonly isDownload: boolean;
  /** Value of Cache-Control. */
  readonly caching: string;
  /** Called if the answer breaks off after it has begun. */
  readonly onError?: (error: unknown) => void;
}

/**
 * Sends the content of a file, or the answer that a condition of the request requires. Resolves when the answer has
 * begun. The lease must last until `reply.raw` closes. Throws NO_SUCH_PATH if the entry is not a file.
 */
export async function sendContent(
  request: FastifyRequest,
  reply: FastifyReply,
  content: SentContent,
): Promise<void> {
  const { entry, path, isDownload, caching } = content;
  if (entry.damage !== undefined) throw entry.damage;
  if (entry.type !== EntryType.file) {
    throw new TardisError('NO_SUCH_PATH', 'only a regular file has a content');
  }
  const { sizeBytes } = entry;
  const etag = etagOf(entry);
  const type = typeOf(path);
  void reply.headers({
    ...CONTENT_GUARDS,
    etag,
    'accept-ranges': 'bytes',
    'cache-control': caching,
    'content-disposition': dispositionOf(lastComponent(path), isDownload, type),
  });
  const { headers } = request;
  if (matches(headers['if-none-match'], etag)) {
    await reply.code(304).send();
    return;
  }
  const rangeHeader = isRangeValid(headers['if-range'], etag) ? headers.range : undefined;
  const ranges = rangesIn(rangeHeader, sizeBytes);
  if (ranges === 'unsatisfiable') {
    void reply.header('content-range', `bytes */${sizeBytes}`);
    await reply.code(416).type('text/plain; charset=utf-8').send('no such range\n');
    return;
  }
  await sendBytes(request, reply, { content, type, ranges });
}

async function sendBytes(
  request: FastifyRequest,
  reply: FastifyReply,
  {
    content,
    type,
    ranges,
  }: {
    readonly content: SentContent;
    readonly type: string;
    readonly ranges: readonly ByteRange[] | undefined;
  },
): Promise<void> {
  const { lease, entry, onError } = content;
  const { sizeBytes } = entry;
  const isHead = request.method === 'HEAD';
  if (ranges === undefined) {
    void reply.type(type).header('content-length', sizeBytes);
    const all = { from: 0, bytes: sizeBytes };
    await send(reply, isHead ? undefined : lease.contents.bytes(entry, all), onError);
    return;
  }
  const [only] = ranges;
  void reply.code(206);
  if (ranges.length === 1 && only !== undefined) {
    void reply.type(type).header('content-length', only.bytes);
    void reply.header('content-range', rangeText(only, sizeBytes));
    await send(reply, isHead ? undefined : lease.contents.bytes(entry, only), onError);
    return;
  }
  const parts = partsOf(ranges, type, sizeBytes, createHash('sha256').update(etagOf(entry)));
  void reply.type(`multipart/byteranges; boundary=${parts.boundary}`);
  void reply.header('content-length', parts.bytes);
  await send(
    reply,
    isHead ? undefined : parts.stream((range) => lease.contents.bytes(entry, range)),
  );
}

async function send(
  reply: FastifyReply,
  bytes: AsyncGenerator<Buffer, void> | undefined,
  onError?: SentContent['onError'],
): Promise<void> {
  if (bytes === undefined) {
    await reply.send();
    return;
  }
  await sendStream(reply, bytes, onError);
}

/**
 * Sends parts as the answer, as soon as the first part is ready. If an error occurs before that, it can still be sent
 * as the answer, or the request can be repeated.
 */
export async function sendStream(
  reply: FastifyReply,
  parts: AsyncGenerator<Buffer, void>,
  onError?: SentContent['onError'],
): Promise<void> {
  const first = await parts.next();
  // Small buffers suffice between the stages, since each part has up to 256 KiB.
  await reply.send(
    Readable.from(resumed(first, parts, onError), { objectMode: false, highWaterMark: 1 }),
  );
}

async function* resumed(
  first: IteratorResult<Buffer, void>,
  parts: AsyncGenerator<Buffer, void>,
  onError: SentContent['onError'],
): AsyncGenerator<Buffer, void> {
  try {
    if (first.done === true) return;
    yield first.value;
    yield* parts;
  } catch (error) {
    onError?.(error);
    throw error;
  } finally {
    await parts.return(); // for a reader that disconnects
  }
}

/**
 * Returns the ETag. It is the digest of the content. Without a digest, it is made from the content's id and the entry's
 * size, time and first set, which no other content has.
 */
export function etagOf(entry: HistoryEntry): string {
  const { digest, sizeBytes, mtimeNs, contentId, firstSet } = entry;
  if (digest !== undefined) return `"${digest.toString('hex')}"`;
  return `"${[sizeBytes, mtimeNs, contentId ?? 0, firstSet].join('-')}"`;
}

/** True if one of the tags of If-None-Match equals `etag`; weak tags match too. */
function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  if (header.trim() === '*') return true;
  return header.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag);
}

/** True unless If-Range names another version. A date never matches, since the requester always knows the ETag. */
function isRangeValid(header: string | string[] | undefined, etag: string): boolean {
  return header === undefined || header === etag;
}

function rangeText({ from, bytes }: ByteRange, sizeBytes: number): string {
  return `bytes ${from}-${from + bytes - 1}/${sizeBytes}`;
}

/** Returns the parts of an answer with several ranges (multipart/byteranges). */
function partsOf(ranges: readonly ByteRange[], type: string, sizeBytes: number, hash: Hash) {
  const boundary = `part-${hash.update(String(ranges.length)).digest('hex').slice(0, 32)}`;
  const heads = ranges.map((range) =>
    Buffer.from(
      `\r\n--${boundary}\r\ncontent-type: ${type}\r\ncontent-range: ${rangeText(range, sizeBytes)}\r\n\r\n`,
    ),
  );
  const end = Buffer.from(`\r\n--${boundary}--\r\n`);
  const bytes = ranges.reduce(
    (sum, range, index) => sum + range.bytes + heads[index]!.length,
    end.length,
  );
  async function* stream(
    read: (range: ByteRange) => AsyncGenerator<Buffer>,
  ): AsyncGenerator<Buffer, void> {
    for (const [index, range] of ranges.entries()) {
      yield heads[index]!;
      yield* read(range);
    }
    yield end;
  }
  return { boundary, bytes, stream };
}
