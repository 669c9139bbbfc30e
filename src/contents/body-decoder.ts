/** Decrypts and decodes the bodies of records and chunks, on threads of libuv's pool. */
import { recordDamaged } from '../errors/index.js';
import { NO_BYTES, releaseMemory } from '../model/index.js';
import {
  changedRecord,
  Codec,
  type CodecNumber,
  decode,
  openSealed,
  type SealedBody,
} from '../store/index.js';
import {
  type DecodeArguments,
  DecodeOutcome,
  type NativeCalls,
  NO_BODY_CIPHER,
} from '../system/index.js';

/** A body of a record or chunk, and buffers for the result. */
export interface BodyToDecode {
  readonly codec: CodecNumber;
  readonly sealed: SealedBody;
  /** Receives the decoded bytes, and has exactly their length. */
  readonly target: Buffer;
  /** Each row has an offset and a size in `target`, and receives the SHA-256 of those bytes. */
  readonly contents: Buffer;
  /**
   * If given, only a part is decoded: the bytes from position `from` on that fill `target`. The whole body decodes to
   * `rawBytes` bytes.
   */
  readonly part?: { readonly from: number; readonly rawBytes: number } | undefined;
}

/** True if the addon has this codec, so that another thread can decode it. */
export function isDecodedByAddon(codec: CodecNumber): boolean {
  return codec === Codec.none || codec === Codec.zstd;
}

/** Decrypts and decodes a body on a thread of libuv's pool, or here by a codec that the addon lacks. Throws RECORD_DAMAGED. */
export async function decodeBody(native: NativeCalls, body: BodyToDecode): Promise<void> {
  const { codec, sealed, target, contents, part } = body;
  if (!isDecodedByAddon(codec)) {
    decodeHere(native, body);
    return;
  }
  const { cipher, key, nonce, also } = sealed.opening ?? PLAIN;
  const job: DecodeArguments = [cipher, key, nonce, also, sealed.body, codec, target, contents];
  requireDecoded(
    part === undefined
      ? await native.decodeAsync(...job)
      : await native.decodePartAsync(...job, part.from),
  );
}

/** Decrypts and decodes a body in this thread. For a part of a body, all of it is decoded. Throws RECORD_DAMAGED. */
export function decodeHere(native: NativeCalls, body: BodyToDecode): void {
  const { codec, sealed, target, contents, part } = body;
  const opened = openSealed(native, sealed);
  if (part === undefined) decode(codec, opened, target);
  else {
    const whole = Buffer.allocUnsafeSlow(part.rawBytes);
    decode(codec, opened, whole);
    whole.copy(target, 0, part.from, part.from + target.length);
    releaseMemory(whole);
  }
  native.digestContents(target, contents);
}

/** The cipher of a body that is not encrypted. */
export const PLAIN = {
  cipher: NO_BODY_CIPHER,
  key: NO_BYTES,
  nonce: NO_BYTES,
  also: NO_BYTES,
} as const;

function whatIsWrong(outcome: number): string {
  if (outcome === DecodeOutcome.broken) return 'compressed bytes are broken';
  if (outcome === DecodeOutcome.outside) return 'a content is longer than its record';
  return 'compressed bytes decode to another length';
}

/** Throws RECORD_DAMAGED unless a body was decoded. */
export function requireDecoded(outcome: number): void {
  if (outcome === DecodeOutcome.decoded) return;
  if (outcome === DecodeOutcome.changed) throw changedRecord();
  throw recordDamaged(whatIsWrong(outcome));
}
