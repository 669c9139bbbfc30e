/**
 * The compress stage: makes records of contents. Small ones share frames (those of types that never
 * shrink apart, stored raw), larger ones get a record each. The records lie one after another in one
 * buffer, ready to be sent.
 */
import { BytesBuilder, type ContentKeys, DIGEST_BYTES } from '../model/index.js';
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
  const cipher = cipherMaker(native, keys);
  const output = compressContents(contents, wanted, frames, memory, cipher);
  return { output, transfer: memoryOf(output.records) };
}

/** Room for the records of a parcel that compresses well; more is taken when it does not. */
const RECORDS_HINT_BYTES = 1 << 20;

/** Makes a cipher for each record; undefined where nothing is encrypted. */
export function cipherMaker(
  native: SealingCalls,
  keys: ContentKeys | undefined,
): (() => RecordCipher) | undefined {
  return keys && (() => RecordCipher.fresh(native, keys));
}

/** `wanted` undefined: all of them. `memory`: used before, to be filled again. */
export function compressContents(
  contents: ContentBlock,
  wanted: Uint8Array | undefined,
  options: FrameOptions,
  memory: Uint8Array | undefined,
  newCipher: (() => RecordCipher) | undefined,
): CompressOutput {
  const { bytes } = contents;
  const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const target =
    memory === undefined ? new BytesBuilder(RECORDS_HINT_BYTES) : BytesBuilder.over(memory);
  const recordLengths: number[] = [];
  const raw = { codec: Codec.none, level: 0 };
  const collect = (compression: Compression): FrameCollector =>
    new FrameCollector(options, (slices) => {
      recordLengths.push(buildFrame(source, slices, compression, target, newCipher?.()));
    });
  const frames = { shrinking: collect(options.compression), raw: collect(raw) };
  for (const index of inOrderOfKinds(contents.kinds)) {
    if (wanted !== undefined && wanted[index] !== 1) continue;
    const slice: Slice = {
      digest: contents.digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES),
      start: contents.starts[index]!,
      sizeBytes: contents.sizes[index]!,
    };
    const isRaw = contents.isRaw[index] === 1;
    if (slice.sizeBytes > (isRaw ? options.smallRawBytes : options.smallBytes)) {
      const compression = isRaw ? raw : options.compression;
      recordLengths.push(buildContent(source, slice, compression, target, newCipher?.()));
    } else (isRaw ? frames.raw : frames.shrinking).add(slice);
  }
  frames.shrinking.flush();
  frames.raw.flush();
  return { records: target.view(), recordLengths };
}

/** Contents by kind, and within a kind as they were met. */
function inOrderOfKinds(kinds: Uint32Array): number[] {
  const order = Array.from(kinds, (_kind, index) => index);
  return order.sort((a, b) => kinds[a]! - kinds[b]! || a - b);
}

/** Gathers small contents until a frame is full. */
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
