/** AES-SIV (RFC 5297) with at most one associated datum, which Node.js does not offer. Only opens, since nothing is written. */
import { createCipheriv, createDecipheriv, timingSafeEqual } from 'node:crypto';

const BLOCK_BYTES = 16;
const ZERO = Buffer.alloc(BLOCK_BYTES);
/** The constant of doubling in GF(2^128). */
const REDUCTION = 0x87;

/**
 * Returns the text of `sealed`, which ends in its synthetic vector, or undefined if it is not authentic. The key has 32
 * bytes (AES-128) or 64 (AES-256).
 */
export function openSiv(key: Buffer, sealed: Buffer, about?: Buffer): Buffer | undefined {
  const half = key.length / 2;
  const textBytes = sealed.length - BLOCK_BYTES;
  if (textBytes < 0) return undefined;
  const vector = sealed.subarray(textBytes);
  const counter = Buffer.from(vector);
  counter[8]! &= 0x7f;
  counter[12]! &= 0x7f;
  const cipher = createDecipheriv(`aes-${half * 8}-ctr`, key.subarray(half), counter);
  const text = Buffer.concat([cipher.update(sealed.subarray(0, textBytes)), cipher.final()]);
  return timingSafeEqual(vectorOf(key.subarray(0, half), about, text), vector) ? text : undefined;
}

/** Returns the synthetic vector (S2V). */
function vectorOf(key: Buffer, about: Buffer | undefined, text: Buffer): Buffer {
  let sum = cmac(key, ZERO);
  if (about !== undefined) sum = xor(doubled(sum), cmac(key, about));
  if (text.length < BLOCK_BYTES) return cmac(key, xor(doubled(sum), padded(text)));
  const tail = text.length - BLOCK_BYTES;
  return cmac(key, Buffer.concat([text.subarray(0, tail), xor(text.subarray(tail), sum)]));
}

/** Returns AES-CMAC (RFC 4493). */
function cmac(key: Buffer, bytes: Buffer): Buffer {
  const one = doubled(encrypted('ecb', key, ZERO));
  const isWhole = bytes.length > 0 && bytes.length % BLOCK_BYTES === 0;
  const tailAt = isWhole ? bytes.length - BLOCK_BYTES : bytes.length - (bytes.length % BLOCK_BYTES);
  const tail = bytes.subarray(tailAt);
  const last = isWhole ? xor(tail, one) : xor(padded(tail), doubled(one));
  const all = encrypted('cbc', key, Buffer.concat([bytes.subarray(0, tailAt), last]));
  return all.subarray(-BLOCK_BYTES);
}

function encrypted(mode: 'ecb' | 'cbc', key: Buffer, bytes: Buffer): Buffer {
  const cipher = createCipheriv(`aes-${key.length * 8}-${mode}`, key, mode === 'ecb' ? null : ZERO);
  cipher.setAutoPadding(false);
  return Buffer.concat([cipher.update(bytes), cipher.final()]);
}

function doubled(block: Buffer): Buffer {
  const result = Buffer.alloc(BLOCK_BYTES);
  for (let index = 0; index < BLOCK_BYTES; index += 1) {
    result[index] = (block[index]! << 1) | ((block[index + 1] ?? 0) >> 7);
  }
  if ((block[0]! & 0x80) !== 0) result[BLOCK_BYTES - 1]! ^= REDUCTION;
  return result;
}

function padded(bytes: Buffer): Buffer {
  const result = Buffer.alloc(BLOCK_BYTES);
  bytes.copy(result);
  result[bytes.length] = 0x80;
  return result;
}

function xor(one: Buffer, other: Buffer): Buffer {
  const result = Buffer.alloc(BLOCK_BYTES);
  for (let index = 0; index < BLOCK_BYTES; index += 1) result[index] = one[index]! ^ other[index]!;
  return result;
}
