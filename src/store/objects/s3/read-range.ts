/** Reads a range of an object, and checks that the answer is that range. */
import { readError, errorOf } from './error-answer.js';
import type { Answer } from './http.js';
import { invalidAnswer, type Requests } from './requests.js';

/** Header with the checksum that an object was stored with, in hexadecimal. */
export const CHECKSUM_HEADER = 'x-amz-meta-sha256';
/**
 * Number of times that an object is read if its bytes differ from those that are expected, since a network can change bytes
 * too.
 */
export const READS = 2;
const CHECKSUM = /^[0-9a-f]{64}$/;

interface Range {
  readonly key: string;
  readonly name: string;
  readonly at: number;
  readonly bytes: number;
  /** Undefined for the current version. */
  readonly versionId?: string;
  /** Receives the bytes. If an answer breaks off, it receives them again from the start. */
  take(chunk: Buffer, at: number): void;
}

export interface RangeRead {
  readonly bytes: number;
  /** Size of the whole object. */
  readonly totalBytes: number;
  /** Checksum of the whole object, in hexadecimal; undefined if it was stored without one. */
  readonly sha256: string | undefined;
}

/**
 * Reads a range of at least one byte; of an object that ends within it, reads fewer bytes. Returns undefined if the
 * object does not exist. Throws BUCKET_ANSWER_INVALID if the answer is not the requested range.
 */
export async function readRange(requests: Requests, range: Range): Promise<RangeRead | undefined> {
  const { key, name, at, bytes, versionId } = range;
  const what = `reading ${name}`;
  const answer = await requests.send({
    method: 'GET',
    key,
    what,
    ...(versionId === undefined ? {} : { query: { versionId } }),
    headers: { range: `bytes=${at}-${at + bytes - 1}` },
    sink: { maxBytes: bytes, take: (chunk, position) => range.take(chunk, position) },
    expects: [404, 416],
  });
  if (answer.status === 404) return absent(answer, requests, what);
  const sha256 = checksumIn(answer);
  if (answer.status === 416) {
    const total = /^bytes \*\/(\d{1,15})$/.exec(answer.headers['content-range'] ?? '')?.[1];
    const totalBytes = total === undefined ? at : Number(total);
    if (totalBytes > at) throw invalidAnswer(what, 'the answer refuses a range of the object');
    return { bytes: 0, totalBytes, sha256 };
  }
  const { from, totalBytes } = rangeIn(answer, what);
  const expected = Math.min(bytes, totalBytes - at);
  if (from !== at || answer.takenBytes !== expected) {
    throw invalidAnswer(what, 'the answer is not the range that was requested');
  }
  return { bytes: expected, totalBytes, sha256 };
}

/** Returns undefined if `answer` reports a missing object. Throws NO_SUCH_BUCKET if it reports a missing bucket. */
export function absent(answer: Answer, requests: Requests, what: string): undefined {
  if (readError(answer).word !== 'NoSuchBucket') return undefined;
  throw errorOf(answer, { what, where: requests.where, source: '', nowMs: 0 });
}

/**
 * Returns the position of the first byte in an answer, and the size of the whole object. Some stores answer with status
 * 200 if the range is the whole object. Throws BUCKET_ANSWER_INVALID if the answer does not show its range.
 */
function rangeIn(answer: Answer, what: string): { from: number; totalBytes: number } {
  if (answer.status === 200) return { from: 0, totalBytes: answer.takenBytes };
  const text = answer.headers['content-range'] ?? '';
  const [, from, to, total] = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(text) ?? [];
  const length = Number(to) - Number(from) + 1;
  if (from === undefined || length !== answer.takenBytes || Number(to) >= Number(total)) {
    throw invalidAnswer(what, 'the answer does not show which range it is');
  }
  return { from: Number(from), totalBytes: Number(total) };
}

/** Returns the checksum of the whole object in an answer; undefined if it has none. */
export function checksumIn({ headers }: Answer): string | undefined {
  const value = headers[CHECKSUM_HEADER];
  return typeof value === 'string' && CHECKSUM.test(value) ? value : undefined;
}
