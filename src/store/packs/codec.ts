/** Compression codecs by number. Each thread loads a codec's library at its first use. */
import zlib from 'node:zlib';
import { recordDamaged } from '../../errors/index.js';
import { loadNative, loadSnappy, type NativeCalls, unpackSnappy } from '../../system/index.js';

export const Codec = Object.freeze({ none: 0, zstd: 1, zlib: 2, snappy: 3 });
export type CodecName = keyof typeof Codec;
export type CodecNumber = (typeof Codec)[CodecName];

export function isCodec(value: number): value is CodecNumber {
  return Number.isInteger(value) && value >= 0 && value <= 3;
}

/**
 * Hash table size (log2) for zstd level 1; 0 leaves the choice to zstd. This value is twice zstd's own table size.
 * Frames of source text become 1.8 % smaller, for 7 % more compression time. Level 2 is a worse trade (3 % for 15 %).
 */
const LEVEL_1_HASH_LOG = 15;

/** Returns the hash table size (log2) for a level of zstd; 0 leaves the choice to zstd. */
export function zstdHashLog(level: number): number {
  return level === 1 ? LEVEL_1_HASH_LOG : 0;
}

let native: NativeCalls | undefined;

function loaded(): NativeCalls {
  native ??= loadNative();
  return native;
}

/** Returns an upper bound for the encoded length of `rawBytes` bytes. */
export function encodedBound(codec: CodecNumber, rawBytes: number): number {
  if (codec === Codec.none) return rawBytes;
  return rawBytes + Math.ceil(rawBytes / 6) + 1024;
}

/**
 * Encodes `source` into `target` at `at` and returns the encoded length. `target` needs room for `encodedBound`
 * bytes. `level` is zstd's (1 to 19) or zlib's (1 to 9).
 */
export function encode(
  codec: CodecNumber,
  level: number,
  source: Uint8Array,
  target: Buffer,
  at: number,
): number {
  if (codec === Codec.zstd) {
    return loaded().zstdCompress(source, target, at, level, zstdHashLog(level));
  }
  if (codec === Codec.none) {
    target.set(source, at);
    return source.length;
  }
  const encoded =
    codec === Codec.zlib
      ? zlib.deflateSync(source, { level: Math.min(level, 9) })
      : loadSnappy().compressSync(Buffer.from(source.buffer, source.byteOffset, source.length), {
          copyOutputData: true,
        });
  target.set(encoded, at);
  return encoded.length;
}

/**
 * Decodes into `target`, which has exactly the expected length. Throws RECORD_DAMAGED if the input is damaged or
 * decodes to any other length. It never allocates the length that the input claims.
 */
export function decode(codec: CodecNumber, source: Uint8Array, target: Buffer): void {
  let decodedBytes: number;
  try {
    decodedBytes = decodeInto(codec, source, target);
  } catch (error) {
    throw recordDamaged('compressed bytes are broken', {}, error);
  }
  if (decodedBytes !== target.length) {
    throw recordDamaged('compressed bytes decode to another length');
  }
}

/** A part of a decoded body: bytes from a position on. The whole body has `rawBytes` bytes. */
export interface DecodedPart {
  readonly from: number;
  readonly rawBytes: number;
}

/**
 * Decodes a part into `target`, which has exactly the length of the part. Damage in compressed bytes after the part may
 * not be found. Throws RECORD_DAMAGED as `decode` does.
 */
export function decodePart(
  codec: CodecNumber,
  source: Uint8Array,
  target: Buffer,
  { from, rawBytes }: DecodedPart,
): void {
  if (codec !== Codec.zstd) {
    const whole = Buffer.allocUnsafe(rawBytes);
    decode(codec, source, whole);
    whole.copy(target, 0, from, from + target.length);
    return;
  }
  let isThere: boolean;
  try {
    isThere = loaded().zstdDecompressPart(source, target, from);
  } catch (error) {
    throw recordDamaged('compressed bytes are broken', {}, error);
  }
  if (!isThere) throw recordDamaged('compressed bytes decode to another length');
}

function decodeInto(codec: CodecNumber, source: Uint8Array, target: Buffer): number {
  if (codec === Codec.zstd) return loaded().zstdDecompress(source, target);
  if (codec === Codec.none) {
    if (source.length === target.length) target.set(source);
    return source.length;
  }
  const input = Buffer.from(source.buffer, source.byteOffset, source.length);
  const decoded =
    codec === Codec.zlib
      ? zlib.inflateSync(input, { maxOutputLength: Math.max(target.length, 1) })
      : unpackSnappy(input, { leastBytes: target.length, mostBytes: target.length });
  if (decoded.length === target.length) target.set(decoded);
  return decoded.length;
}
