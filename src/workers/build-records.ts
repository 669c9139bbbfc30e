/** Makes the records of a parcel: one call of the addon makes all but those that it has no codec or cipher for. */
import {
  bufferOf,
  BytesBuilder,
  type ContentKeys,
  DIGEST_BYTES,
  Scheme,
  type SchemeNumber,
} from '../model/index.js';
import {
  buildContent,
  buildFrame,
  Codec,
  type CodecNumber,
  CONTENT_INDEX_BYTES,
  encodedBound,
  FRAME_ENTRY_BYTES,
  RECORD_HEADER_BYTES,
  RecordCipher,
  RecordKind,
  type Slice,
  zstdHashLog,
} from '../store/index.js';
import {
  BODY_TAG_BYTES,
  type NativeCalls,
  NO_BODY_CIPHER,
  WANTED_RECORD_BYTES,
  WantedRecord,
} from '../system/index.js';
import { bytesOf } from './block-builder.js';
import type { JobContext } from './job-context.js';
import type { ContentBlock, FrameOptions } from './jobs.js';
import { type PlannedRecord, planRecords } from './record-plan.js';

export interface BuiltRecords {
  readonly records: Uint8Array;
  readonly recordLengths: readonly number[];
  /** Time of compression, and of encryption. */
  readonly buildMs: number;
}

/** How to make the records. */
interface BuildOptions {
  readonly options: FrameOptions;
  readonly keys: ContentKeys | undefined;
}

/** True if the addon makes such records. It has no other codecs, and makes no tags for Scheme.readable. */
export function isMadeByAddon(codec: CodecNumber, scheme: SchemeNumber | undefined): boolean {
  return (codec === Codec.none || codec === Codec.zstd) && scheme !== Scheme.readable;
}

/** Makes records of the contents with 1 in `wanted`; of all if that is undefined. They follow one another in one buffer. */
export async function buildRecords(
  { system: { native }, memory, others }: JobContext,
  block: ContentBlock,
  wanted: Uint8Array | undefined,
  { options, keys }: BuildOptions,
): Promise<BuiltRecords> {
  const planned = planRecords(block, wanted, options);
  const isAddons = ({ compression, scheme = keys?.scheme }: PlannedRecord): boolean =>
    isMadeByAddon(compression.codec, scheme);
  const own = planned.filter(isAddons);
  const lengths = new Uint32Array(own.length);
  const time = new Float64Array(1);
  return memory.withRecords(async (room) => {
    const target = room.room(roomFor(planned, block));
    const end = await native.buildRecords(
      block.bytes,
      block.digests,
      bytesOf(block.starts),
      bytesOf(block.sizes),
      bytesOf(Uint32Array.from(own.flatMap(({ contents }) => contents))),
      describe(native, own, keys),
      target,
      bytesOf(lengths),
      bytesOf(time),
      others !== undefined,
    );
    const rest = new OtherRecords(native, block, keys, BytesBuilder.over(target.subarray(end)));
    for (const record of planned) if (!isAddons(record)) rest.add(record);
    return {
      records: room.leave(target.subarray(0, end + rest.bytes)),
      recordLengths: [...lengths, ...rest.lengths],
      buildMs: time[0]! + rest.busyMs,
    };
  });
}

/** Makes records one by one. */
class OtherRecords {
  readonly lengths: number[] = [];
  busyMs = 0;

  constructor(
    private readonly native: NativeCalls,
    private readonly block: ContentBlock,
    private readonly keys: ContentKeys | undefined,
    private readonly target: BytesBuilder,
  ) {}

  get bytes(): number {
    return this.target.length;
  }

  /** Appends a record. */
  add({ contents, isFrame, compression, scheme }: PlannedRecord): void {
    const { block, keys, native, target } = this;
    const startMs = performance.now();
    const cipher = keys && RecordCipher.fresh(native, keys, scheme);
    const source = bufferOf(block.bytes);
    const slices = contents.map((index) => sliceOf(block, index));
    const means = { compression, target, cipher };
    const length = isFrame
      ? buildFrame(source, slices, means)
      : buildContent(source, slices[0]!, means);
    this.lengths.push(length);
    this.busyMs += performance.now() - startMs;
  }
}

function sliceOf({ digests, starts, sizes }: ContentBlock, index: number): Slice {
  return {
    digest: digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES),
    start: starts[index]!,
    sizeBytes: sizes[index]!,
  };
}

/** Returns how many bytes the records have at most. */
function roomFor(planned: readonly PlannedRecord[], { sizes }: ContentBlock): number {
  let bytes = 0;
  for (const { contents, isFrame, compression } of planned) {
    const rawBytes = contents.reduce((sum, index) => sum + sizes[index]!, 0);
    const indexBytes = isFrame ? contents.length * FRAME_ENTRY_BYTES : CONTENT_INDEX_BYTES;
    const bodyBytes = encodedBound(compression.codec, rawBytes) + BODY_TAG_BYTES;
    bytes += RECORD_HEADER_BYTES + indexBytes + bodyBytes;
  }
  return bytes;
}

/** Describes the records to the addon. Those of a client with keys get a salt and a key each. */
function describe(
  native: NativeCalls,
  planned: readonly PlannedRecord[],
  keys: ContentKeys | undefined,
): Buffer {
  const bytes = Buffer.alloc(planned.length * WANTED_RECORD_BYTES);
  for (const [index, { contents, isFrame, compression, scheme }] of planned.entries()) {
    const at = index * WANTED_RECORD_BYTES;
    const { codec, level } = compression;
    const put = (field: keyof typeof WantedRecord, value: number): void => {
      bytes.writeUInt32LE(value, at + WantedRecord[field]);
    };
    put('count', contents.length);
    put('kind', isFrame ? RecordKind.frame : RecordKind.content);
    put('codec', codec);
    put('level', level);
    put('hashLog', zstdHashLog(level));
    put('cipher', NO_BODY_CIPHER);
    put('scheme', Scheme.plain);
    if (keys === undefined) continue;
    const { forAddon, head } = RecordCipher.fresh(native, keys, scheme);
    put('cipher', forAddon.cipher);
    put('scheme', head.scheme);
    put('epoch', head.epoch);
    bytes.set(head.salt, at + WantedRecord.salt);
    bytes.set(forAddon.key, at + WantedRecord.key);
  }
  return bytes;
}
