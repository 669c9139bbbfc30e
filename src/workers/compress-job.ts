/**
 * The compress stage: makes records of contents. Small ones share frames (those of types that never
 * shrink apart, stored raw), larger ones get a record each. The records lie one after another in one
 * buffer, ready to be sent.
 */
import { DIGEST_BYTES } from '../model/index.js';
import { buildContent, buildFrame, Codec, MAX_FRAME_CONTENTS, type Slice } from '../store/index.js';
import { memoryOf } from './block-builder.js';
import type {
  CompressInput,
  CompressOutput,
  ContentBlock,
  FrameOptions,
  JobResult,
} from './jobs.js';

export function compressJob(input: CompressInput): JobResult<CompressOutput> {
  const output = compressContents(input.contents, input.wanted, input.frames);
  return { output, transfer: memoryOf(output.records) };
}

/** `wanted` undefined: all of them. */
export function compressContents(
  contents: ContentBlock,
  wanted: Uint8Array | undefined,
  options: FrameOptions,
): CompressOutput {
  const source = Buffer.from(
    contents.bytes.buffer,
    contents.bytes.byteOffset,
    contents.bytes.byteLength,
  );
  const records: Buffer[] = [];
  const raw = { codec: Codec.none, level: 0 };
  const frames = {
    shrinking: new FrameCollector(source, options, options.compression, records),
    raw: new FrameCollector(source, options, raw, records),
  };
  for (let index = 0; index < contents.starts.length; index += 1) {
    if (wanted !== undefined && wanted[index] !== 1) continue;
    const slice: Slice = {
      digest: contents.digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES),
      start: contents.starts[index]!,
      sizeBytes: contents.sizes[index]!,
    };
    const isRaw = contents.isRaw[index] === 1;
    if (slice.sizeBytes > options.smallBytes) {
      records.push(buildContent(source, slice, isRaw ? raw : options.compression));
    } else (isRaw ? frames.raw : frames.shrinking).add(slice);
  }
  frames.shrinking.flush();
  frames.raw.flush();
  const recordLengths = records.map((record) => record.length);
  return { records: joined(records), recordLengths };
}

/** One record is moved as it is; several are joined. */
function joined(records: readonly Buffer[]): Buffer {
  const only = records[0];
  if (records.length === 1 && only!.buffer.byteLength === only!.length) return only!;
  const bytes = records.reduce((sum, record) => sum + record.length, 0);
  const whole = Buffer.allocUnsafeSlow(bytes);
  let at = 0;
  for (const record of records) at += record.copy(whole, at);
  return whole;
}

class FrameCollector {
  private slices: Slice[] = [];
  private bytes = 0;
  private readonly source: Buffer;
  private readonly options: FrameOptions;
  private readonly compression: FrameOptions['compression'];
  private readonly records: Buffer[];

  constructor(
    source: Buffer,
    options: FrameOptions,
    compression: FrameOptions['compression'],
    records: Buffer[],
  ) {
    this.source = source;
    this.options = options;
    this.compression = compression;
    this.records = records;
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
    this.records.push(buildFrame(this.source, this.slices, this.compression));
    this.slices = [];
    this.bytes = 0;
  }
}
