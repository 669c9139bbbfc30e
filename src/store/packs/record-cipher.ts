/**
 * Encrypts the body of one record, or authenticates a body that can be read without keys. Each record has a random
 * salt, and so keys of its own; the nonces are chunk numbers. docs/inside/formats.md, "Encrypted records", has every byte. The
 * data decrypted here is read from a store and is untrusted.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { recordDamaged, TardisError } from '../../errors/index.js';
import { type ContentKeys, isScheme, Scheme, type SchemeNumber } from '../../model/index.js';
import {
  BODY_NONCE_BYTES,
  BODY_TAG_BYTES,
  BodyCipher,
  type BodyCipherNumber,
  type SealingCalls,
} from '../../system/index.js';
import { RECORD_SALT_BYTES, RECORD_SEAL_BYTES } from './record.js';

/** The fields of a record's header that determine its encryption. */
export interface CipherHead {
  readonly scheme: SchemeNumber;
  readonly epoch: number;
  readonly salt: Uint8Array;
}

const KEY_BYTES = 32;
const CIPHER_HEAD_BYTES: number = 1 + 4 + RECORD_SALT_BYTES;

/** Encodes a cipher head for the wire: scheme (u8), epoch (u32), salt. */
export function encodeCipherHead({ scheme, epoch, salt }: CipherHead): Buffer {
  const bytes = Buffer.alloc(CIPHER_HEAD_BYTES);
  bytes[0] = scheme;
  bytes.writeUInt32LE(epoch, 1);
  bytes.set(salt, 5);
  return bytes;
}

/** Decodes a cipher head; undefined if the bytes cannot be one. */
export function decodeCipherHead(bytes: Buffer): CipherHead | undefined {
  const scheme = bytes[0] ?? 0;
  if (bytes.length !== CIPHER_HEAD_BYTES || !isScheme(scheme) || scheme === Scheme.plain) {
    return undefined;
  }
  return { scheme, epoch: bytes.readUInt32LE(1), salt: Buffer.from(bytes.subarray(5)) };
}

/** The values that decrypt one body. */
interface BodyOpening {
  readonly cipher: BodyCipherNumber;
  readonly key: Uint8Array;
  readonly nonce: Uint8Array;
  /** Additional data that is authenticated. */
  readonly also: Uint8Array;
}

/** A stored body, and the values that decrypt it. */
export interface SealedBody {
  /** The body; if encrypted, with its tag at the end. */
  readonly body: Buffer;
  /** Undefined if the body is not encrypted. */
  readonly opening: BodyOpening | undefined;
}

/** Chunk number of a body in one piece, which no real chunk has. */
const WHOLE = 0xffff_ffff;
const CHUNK_ALSO_BYTES = 5;

export class RecordCipher {
  private readonly cipher: BodyCipherNumber;
  private readonly master: Uint8Array;
  private readonly bodyKey: Buffer;

  /**
   * Creates the cipher of a record. Throws RECORD_DAMAGED if `head` shows no encryption, or an epoch without a key; but
   * KEY_MISSING if the epoch is newer than all keys.
   */
  constructor(
    readonly calls: SealingCalls,
    keys: ContentKeys,
    readonly head: CipherHead,
  ) {
    if (head.scheme === Scheme.plain) {
      throw recordDamaged('a record is not encrypted, as those of this client are');
    }
    this.cipher =
      head.scheme === Scheme.chaCha ? BodyCipher.chaCha20Poly1305 : BodyCipher.aes256Gcm;
    const master = keys.contents.find(({ epoch }) => epoch === head.epoch)?.key;
    if (master === undefined) {
      // A newer epoch is not damage: an account has only the keys that existed when it was created.
      const isNewer = head.epoch > keys.epoch;
      throw new TardisError(
        isNewer ? 'KEY_MISSING' : 'RECORD_DAMAGED',
        `there is no key of epoch ${head.epoch}`,
      );
    }
    this.master = master;
    this.bodyKey = this.keyFor('body');
  }

  /**
   * The number of the cipher, and the key of the body, with which the addon encrypts a body in one piece. Do not use them
   * in Scheme.readable, whose bodies are not encrypted.
   */
  get forAddon(): { readonly cipher: BodyCipherNumber; readonly key: Uint8Array } {
    return { cipher: this.cipher, key: this.bodyKey };
  }

  /** Returns a cipher for a new record. Its scheme is that of the keys unless another one is given. */
  static fresh(
    calls: SealingCalls,
    keys: ContentKeys,
    scheme: SchemeNumber = keys.scheme,
  ): RecordCipher {
    const { epoch } = keys;
    return new RecordCipher(calls, keys, { scheme, epoch, salt: randomBytes(RECORD_SALT_BYTES) });
  }

  /**
   * Encrypts a body in one piece, in place; `data` needs space for the tag after it. `also` is the additional data:
   * header and index.
   */
  encryptWhole(also: Uint8Array, data: Buffer, at: number, bytes: number): void {
    this.encrypt(WHOLE, also, data, at, bytes);
  }

  /**
   * Returns a body in one piece for `openSealed`. Throws RECORD_DAMAGED if the body is shorter than its tag, or is not
   * encrypted and does not match the tag.
   */
  sealedWhole(also: Uint8Array, body: Buffer): SealedBody {
    return this.sealed(WHOLE, also, body);
  }

  encryptChunk(number: number, isRaw: boolean, data: Buffer, at: number, bytes: number): void {
    this.encrypt(number, chunkAlso(number, isRaw), data, at, bytes);
  }

  /** Returns a chunk for `openSealed`. Throws RECORD_DAMAGED as `sealedWhole` does. */
  sealedChunk(number: number, isRaw: boolean, stored: Buffer): SealedBody {
    return this.sealed(number, chunkAlso(number, isRaw), stored);
  }

  /**
   * Returns the seal of a chunked record: a MAC over its kind, codec, decoded length and index. The seal proves that no
   * chunk is missing or belongs to another content.
   */
  sealOf(kind: number, codec: number, rawBytes: number, index: Uint8Array): Buffer {
    const fixed = Buffer.alloc(10);
    fixed.set([kind, codec]);
    fixed.writeBigUInt64LE(BigInt(rawBytes), 2);
    const seal = Buffer.allocUnsafe(RECORD_SEAL_BYTES);
    const covered = Buffer.concat([fixed, index]);
    this.calls.mac(this.keyFor('seal'), covered, 0, covered.length, seal, 0, seal.length);
    return seal;
  }

  /** Throws RECORD_DAMAGED unless the seal at the end of an index is correct. */
  checkSeal(kind: number, codec: number, rawBytes: number, index: Buffer): void {
    const from = Math.max(0, index.length - RECORD_SEAL_BYTES);
    const seal = index.subarray(from);
    const expected = this.sealOf(kind, codec, rawBytes, index.subarray(0, from));
    if (seal.length !== expected.length || !timingSafeEqual(seal, expected)) throw changed();
  }

  private keyFor(label: string): Buffer {
    const { scheme, epoch, salt } = this.head;
    const place = Buffer.alloc(5);
    place[0] = scheme;
    place.writeUInt32LE(epoch, 1);
    const input = Buffer.concat([Buffer.from(`tardis record 1: ${label}`), place, salt]);
    const key = Buffer.allocUnsafe(KEY_BYTES);
    this.calls.mac(this.master, input, 0, input.length, key, 0, KEY_BYTES);
    return key;
  }

  private encrypt(number: number, also: Uint8Array, data: Buffer, at: number, bytes: number): void {
    if (this.head.scheme === Scheme.readable) {
      data.set(this.tagOf(number, also, data.subarray(at, at + bytes)), at + bytes);
    } else {
      this.calls.encryptBody(this.cipher, this.bodyKey, nonceOf(number), also, data, at, bytes);
    }
  }

  private sealed(number: number, also: Uint8Array, data: Buffer): SealedBody {
    const bytes = data.length - BODY_TAG_BYTES;
    if (bytes < 0) throw changed();
    if (this.head.scheme !== Scheme.readable) {
      const { cipher, bodyKey: key } = this;
      return { body: data, opening: { cipher, key, nonce: nonceOf(number), also } };
    }
    const body = data.subarray(0, bytes);
    if (!timingSafeEqual(this.tagOf(number, also, body), data.subarray(bytes))) throw changed();
    return { body, opening: undefined };
  }

  /**
   * Returns the tag that authenticates an unencrypted body. Nonce and hash have fixed lengths, so their bytes cannot be
   * confused with those of `also`.
   */
  private tagOf(number: number, also: Uint8Array, body: Uint8Array): Buffer {
    const covered = Buffer.concat([
      nonceOf(number),
      also,
      createHash('sha256').update(body).digest(),
    ]);
    const tag = Buffer.allocUnsafe(BODY_TAG_BYTES);
    this.calls.mac(this.bodyKey, covered, 0, covered.length, tag, 0, BODY_TAG_BYTES);
    return tag;
  }
}

function nonceOf(number: number): Buffer {
  const nonce = Buffer.alloc(BODY_NONCE_BYTES);
  nonce.writeUInt32LE(number);
  return nonce;
}

function chunkAlso(number: number, isRaw: boolean): Buffer {
  const also = Buffer.alloc(CHUNK_ALSO_BYTES);
  also.writeUInt32LE(number);
  also[4] = isRaw ? 1 : 0;
  return also;
}

/** Decrypts a body in place, and returns it without its tag. Throws RECORD_DAMAGED if the tag does not match. */
export function openSealed(
  calls: Pick<SealingCalls, 'decryptBody'>,
  { body, opening }: SealedBody,
): Buffer {
  if (opening === undefined) return body;
  const { cipher, key, nonce, also } = opening;
  const bytes = body.length - BODY_TAG_BYTES;
  if (!calls.decryptBody(cipher, key, nonce, also, body, 0, bytes)) throw changed();
  return body.subarray(0, bytes);
}

/** Returns the error for a body that its key does not decrypt. */
export function changed(): TardisError {
  return recordDamaged('an encrypted record is not what its owner wrote');
}
