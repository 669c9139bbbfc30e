/** Decodes one stored record, or one chunk of a large one, in the thread that calls it. */
import { DIGEST_BYTES, releaseMemory } from '../model/index.js';
import { decode, mediumOf, type ObjectReader, openSealed } from '../store/index.js';
import { CONTENT_ROW_BYTES, type NativeCalls, type System } from '../system/index.js';
import { decodeRecord, type DecodingSteps } from './decode-record.js';
import type { DecodeInput, DecodeOutput } from './decode-types.js';
import type { JobResult } from './jobs.js';

/** Stored bytes, in memory that all jobs of the thread use: its collector would free those of each job late. */
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
  };
}

/** Writes the SHA-256 of each content before its offset and size. */
export function digestContents(native: NativeCalls, bytes: Buffer, contents: Buffer): void {
  for (let at = 0; at < contents.length; at += CONTENT_ROW_BYTES) {
    const offset = contents.readUInt32LE(at + DIGEST_BYTES);
    const sizeBytes = contents.readUInt32LE(at + DIGEST_BYTES + 4);
    native.sha256(bytes, offset, sizeBytes, contents, at);
  }
}
