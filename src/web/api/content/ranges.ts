/** The header `Range` (RFC 9110, 14). */
import type { ByteRange } from './open-contents.js';

/** Maximum number of ranges in one request. With more, the whole content is sent, as RFC 9110 allows. */
const MAX_RANGES = 16;
const MAX_HEADER_CHARS = 1024;
const SPEC = /^(?:(\d{1,16})-(\d{0,16})|-(\d{1,16}))$/;

/**
 * Returns the ranges of a file that a header requests, in the header's order; `unsatisfiable` if none lies in the file.
 * Returns undefined if the header must be ignored: it is malformed, in another unit, has too many ranges, or its ranges
 * together request more bytes than the file has.
 */
export function rangesIn(
  header: string | undefined,
  sizeBytes: number,
): readonly ByteRange[] | 'unsatisfiable' | undefined {
  if (header === undefined || header.length > MAX_HEADER_CHARS) return undefined;
  const [, list] = /^bytes=(.*)$/i.exec(header.trim()) ?? [];
  if (list === undefined) return undefined;
  const specs = list.split(',').map((spec) => spec.trim());
  if (specs.length > MAX_RANGES) return undefined;
  const ranges: ByteRange[] = [];
  for (const spec of specs) {
    if (spec === '') continue;
    const match = SPEC.exec(spec);
    if (match === null) return undefined;
    const range = rangeOf(match, sizeBytes);
    if (range === 'malformed') return undefined;
    if (range !== undefined) ranges.push(range);
  }
  if (ranges.length === 0) return specs.every((spec) => spec === '') ? undefined : 'unsatisfiable';
  // Overlapping ranges could request many times the bytes of the file.
  const total = ranges.reduce((sum, { bytes }) => sum + bytes, 0);
  return ranges.length > 1 && total > sizeBytes ? undefined : ranges;
}

/** Returns a range; undefined if it has no byte of the file, `malformed` if it ends before it begins. */
function rangeOf(
  [, first, last, suffix]: RegExpExecArray,
  sizeBytes: number,
): ByteRange | 'malformed' | undefined {
  if (suffix !== undefined) {
    const bytes = Math.min(Number(suffix), sizeBytes);
    return bytes === 0 ? undefined : { from: sizeBytes - bytes, bytes };
  }
  const from = Number(first);
  const to = last === '' || last === undefined ? sizeBytes - 1 : Number(last);
  if (last !== '' && to < from) return 'malformed';
  if (from >= sizeBytes) return undefined;
  return { from, bytes: Math.min(to, sizeBytes - 1) - from + 1 };
}
