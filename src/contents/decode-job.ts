/** Decodes one stored record, or one chunk of a large one, in the thread that calls it. */
import { releaseMemory } from '../model/index.js';
import { decode, mediumOf, type ObjectReader, openSealed } from '../store/index.js';
import type { NativeCalls, System } from '../system/index.js';
import { type BodyToDecode, decodeRecord, type DecodingSteps } from './decode-record.js';
import type { DecodeInput, DecodeOutput } from './decode-types.js';

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
): Promise<{ output: DecodeOutput; transfer: ArrayBuffer[] }> {
  const { source, keys } = input;
  using backend =
    'directory' in source
      ? mediumOf(system, source.directory).records()
      : memoryReader(source.stored);
  const from = { backend, native: system.native, keys };
  const output = await decodeRecord(input, from, system, stepsHere(system.native));
  const moved = [output.bytes, output.digests].map(({ buffer }) => buffer as ArrayBuffer);
  return { output, transfer: moved };
}

/** Returns a reader of one record, or chunk, that is in memory. */
export function memoryReader(stored: Uint8Array): ObjectReader & Disposable {
  return {
    read: async (_object, _position, target, bytes) => {
      target.set(stored.subarray(0, bytes));
      return Math.min(bytes, stored.length);
    },
    close: () => undefined,
    [Symbol.dispose]: () => undefined,
  };
}

function stepsHere(native: NativeCalls): DecodingSteps {
  return {
    room,
    target: (bytes) => Buffer.allocUnsafeSlow(bytes),
    decode: (body) => decodeHere(native, body),
  };
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
