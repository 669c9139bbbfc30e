/**
 * The compress stage: makes records of contents. Small contents share frames; those of incompressible types have
 * separate frames and are stored raw. Each larger content gets its own record. The records follow one another in one
 * buffer, ready to be sent. Contents with different encryption never share a record.
 */
import {
  bufferOf,
  BytesBuilder,
  type ContentKeys,
  DIGEST_BYTES,
  isScheme,
  type SchemeNumber,
} from '../model/index.js';
import {
  buildContent,
  buildFrame,
  Codec,
  type Compression,
  MAX_FRAME_CONTENTS,
  RecordCipher,
  type Slice,
} from '../store/index.js';
import type { SealingCalls } from '../system/index.js';
import { memoryOf } from './block-builder.js';
import type {
  CompressInput,
  CompressOutput,
  ContentBlock,
  FrameOptions,
  JobResult,
} from './jobs.js';

export function compressJob(input: CompressInput, native: SealingCalls): JobResult<CompressOutput> {
  const { contents, wanted, frames, memory, keys } = input;
  const ciphers = keys && new Ciphers(native, keys);
  const made = compressContents(contents, wanted, { options: frames, memory, ciphers });
  const output = { ...made, encryptMs: ciphers?.spentMs ?? 0 };
  return { output, transfer: memoryOf(output.records) };
}

/** Initial memory for the records of a parcel, enough if it compresses well. It grows if needed. */
const RECORDS_HINT_BYTES = 1 << 20;

/** Makes the ciphers for the records of a job, and measures the time of encryption. */
export class Ciphers {
  private readonly made: RecordCipher[] = [];
  private makingMs = 0;
  private readonly native: SealingCalls;
  private readonly keys: ContentKeys;

  constructor(native: SealingCalls, keys: ContentKeys) {
    this.native = native;
    this.keys = keys;
  }

  /** Returns a cipher for a new record. If `scheme` is undefined, the record gets the usual scheme. */
  fresh(scheme: SchemeNumber | undefined): RecordCipher {
    const startMs = performance.now();
    const cipher = RecordCipher.fresh(this.native, this.keys, scheme);
    this.makingMs += performance.now() - startMs;
    this.made.push(cipher);
    return cipher;
  }

  /** Time spent on encryption, with that of deriving keys. */
  get spentMs(): number {
    return this.made.reduce((sum, { spentMs }) => sum + spentMs, this.makingMs);
  }
}

/** Compression for contents that are stored raw. */
const RAW: Compression = { codec: Codec.none, level: 0 };

/** Compresses the contents with 1 in `wanted`; all if that is undefined. `memory` is older memory to reuse. */
export function compressContents(
  contents: ContentBlock,
  wanted: Uint8Array | undefined,
  {
    options,
    memory,
    ciphers,
  }: {
    readonly options: FrameOptions;
    readonly memory: Uint8Array | undefined;
    /** Undefined if nothing is encrypted. */
    readonly ciphers: Ciphers | undefined;
  },
): Pick<CompressOutput, 'records' | 'recordLengths'> {
  const { bytes } = contents;
  const source = bufferOf(bytes);
  const target =
    memory === undefined ? new BytesBuilder(RECORDS_HINT_BYTES) : BytesBuilder.over(memory);
  const recordLengths: number[] = [];
  // All contents of a frame have the same scheme and compression.
  const frames = new Map<number, FrameCollector>();
  const framesOf = (scheme: SchemeNumber | undefined, compression: Compression): FrameCollector => {
    const key = 2 * (scheme ?? 0) + (compression === RAW ? 1 : 0);
    let collector = frames.get(key);
    if (collector === undefined) {
      collector = new FrameCollector(options, (slices) => {
        const cipher = ciphers?.fresh(scheme);
        recordLengths.push(buildFrame(source, slices, { compression, target, cipher }));
      });
      frames.set(key, collector);
    }
    return collector;
  };
  for (const index of inOrderOfKinds(contents.kinds)) {
    if (wanted !== undefined && wanted[index] !== 1) continue;
    const slice: Slice = {
      digest: contents.digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES),
      start: contents.starts[index]!,
      sizeBytes: contents.sizes[index]!,
    };
    const isRaw = contents.isRaw[index] === 1;
    const compression = isRaw ? RAW : options.compression;
    const scheme = schemeAt(contents, index);
    if (slice.sizeBytes > (isRaw ? options.smallRawBytes : options.smallBytes)) {
      const cipher = ciphers?.fresh(scheme);
      recordLengths.push(buildContent(source, slice, { compression, target, cipher }));
    } else framesOf(scheme, compression).add(slice);
  }
  for (const collector of frames.values()) collector.flush();
  return { records: target.view(), recordLengths };
}

function schemeAt({ schemes }: ContentBlock, index: number): SchemeNumber | undefined {
  const scheme = schemes[index] ?? 0;
  return isScheme(scheme) ? scheme : undefined;
}

/** Returns the indexes of the contents ordered by kind, and within a kind in their original order. */
function inOrderOfKinds(kinds: Uint32Array): number[] {
  const order = Array.from(kinds, (_kind, index) => index);
  return order.sort((a, b) => kinds[a]! - kinds[b]! || a - b);
}

/** Collects small contents until a frame is full. */
class FrameCollector {
  private slices: Slice[] = [];
  private bytes = 0;
  private readonly options: FrameOptions;
  private readonly onFrame: (slices: readonly Slice[]) => void;

  constructor(options: FrameOptions, onFrame: (slices: readonly Slice[]) => void) {
    this.options = options;
    this.onFrame = onFrame;
  }

  add(slice: Slice): void {
    const isFull =
      this.bytes + slice.sizeBytes > this.options.frameBytes ||
      this.slices.length >= MAX_FRAME_CONTENTS;
    if (this.slices.length > 0 && isFull) this.flush();
    this.slices.push(slice);
    this.bytes += slice.sizeBytes;
  }

  flush(): void {
    if (this.slices.length === 0) return;
    this.onFrame(this.slices);
    this.slices = [];
    this.bytes = 0;
  }
}
