/** Decodes one stored record, or one chunk of a large one, in the thread that calls it. */
import { DIGEST_BYTES, releaseMemory } from '../model/index.js';
import {
  type CodecNumber,
  decode,
  mediumOf,
  type ObjectReader,
  openSealed,
  type SealedBody,
} from '../store/index.js';
import { CONTENT_ROW_BYTES, type NativeCalls, type System } from '../system/index.js';
import { decodeRecord, type DecodingSteps } from './decode-record.js';
import type { DecodeInput, DecodeOutput } from './decode-types.js';
import type { JobResult } from './jobs.js';

/**
 * Memory for stored bytes, shared by all jobs of the thread. The garbage collector would free separate buffers late.
 */
let storedRoom: Buffer = Buffer.alloc(0);

function room(bytes: number): Buffer {
  if (storedRoom.length < bytes) {
    releaseMemory(storedRoom);
    storedRoom = Buffer.allocUnsafeSlow(bytes);
  }
  return storedRoom.subarray(0, bytes);
}

export async function decodeJob(
  input: DecodeInput,
  system: System,
): Promise<JobResult<DecodeOutput>> {
  const { source, keys } = input;
  const backend =
    'directory' in source
      ? mediumOf(system, source.directory).records()
      : memoryReader(source.stored);
  try {
    const from = { backend, native: system.native, keys };
    const output = await decodeRecord(input, from, system, stepsHere(system.native));
    const moved = [output.bytes, output.digests].map(({ buffer }) => buffer as ArrayBuffer);
    return { output, transfer: moved };
  } finally {
    backend.close();
  }
}

/** Returns a reader of one record, or chunk, that is in memory. */
export function memoryReader(stored: Uint8Array): ObjectReader {
  return {
    read: async (_object, _position, target, bytes) => {
      target.set(stored.subarray(0, bytes));
      return Math.min(bytes, stored.length);
    },
    close: () => undefined,
  };
}

function stepsHere(native: NativeCalls): DecodingSteps {
  return {
    room,
    decode: (codec, sealed, target, contents) => {
      decode(codec, openSealed(native, sealed), target);
      digestContents(native, target, contents);
    },
    decodePart: (codec, sealed, target, part) => {
      decodePartHere(native, { codec, sealed, target, ...part });
    },
  };
}

export interface PartToDecode {
  readonly codec: CodecNumber;
  readonly sealed: SealedBody;
  readonly target: Buffer;
  /** See `DecodingSteps.decodePart`. */
  readonly from: number;
  readonly rawBytes: number;
  readonly contents: Buffer;
}

/** Decodes a part of a body by decoding all of it. */
export function decodePartHere(native: NativeCalls, part: PartToDecode): void {
  const { codec, sealed, target, from, rawBytes, contents } = part;
  const whole = Buffer.allocUnsafeSlow(rawBytes);
  decode(codec, openSealed(native, sealed), whole);
  whole.copy(target, 0, from, from + target.length);
  releaseMemory(whole);
  digestContents(native, target, contents);
}

/** Writes the SHA-256 of each content before its offset and size. */
export function digestContents(native: NativeCalls, bytes: Buffer, contents: Buffer): void {
  for (let at = 0; at < contents.length; at += CONTENT_ROW_BYTES) {
    const offset = contents.readUInt32LE(at + DIGEST_BYTES);
    const sizeBytes = contents.readUInt32LE(at + DIGEST_BYTES + 4);
    native.sha256(bytes, offset, sizeBytes, contents, at);
  }
}
