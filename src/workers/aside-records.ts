/** Makes the records of a parcel by one call of the addon, on a thread of libuv's pool. */
import { type ContentKeys, Scheme } from '../model/index.js';
import {
  Codec,
  CONTENT_INDEX_BYTES,
  encodedBound,
  FRAME_ENTRY_BYTES,
  RECORD_HEADER_BYTES,
  RecordCipher,
  RecordKind,
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
import type { ContentBlock, FrameOptions } from './jobs.js';
import type { RecordMemory } from './record-memory.js';
import { type PlannedRecord, planRecords } from './record-plan.js';

/** The calls that `buildAside` stands for. */
export const BUILT_BY = ['zstdCompress', 'encryptBody', 'mac', 'crc32'] as const;

export interface BuiltRecords {
  readonly records: Uint8Array;
  readonly recordLengths: readonly number[];
  /** Time of compression, and of encryption. */
  readonly compressMs: number;
  readonly encryptMs: number;
}

/** True if the addon can make these records. It has no other codecs, and makes no tags for Scheme.readable. */
export function canBuild({ compression }: FrameOptions, keys: ContentKeys | undefined): boolean {
  const hasCodec = compression.codec === Codec.none || compression.codec === Codec.zstd;
  return hasCodec && keys?.scheme !== Scheme.readable;
}

/**
 * Makes records of the contents with 1 in `wanted`; of all if that is undefined. None may have a scheme of its own.
 * They are made in `memory`, which no other call may use meanwhile.
 */
export async function buildRecords(
  native: NativeCalls,
  block: ContentBlock,
  wanted: Uint8Array | undefined,
  {
    options,
    memory,
    keys,
  }: {
    readonly options: FrameOptions;
    readonly memory: RecordMemory;
    readonly keys: ContentKeys | undefined;
  },
): Promise<BuiltRecords> {
  const planned = planRecords(block, wanted, options);
  const target = memory.room(roomFor(planned, block));
  const lengths = new Uint32Array(planned.length);
  const times = new Float64Array(2);
  const described = describe(native, planned, keys);
  let end: number;
  try {
    end = await native.buildAside(
      block.bytes,
      block.digests,
      bytesOf(block.starts),
      bytesOf(block.sizes),
      bytesOf(Uint32Array.from(planned.flatMap(({ contents }) => contents))),
      described,
      target,
      bytesOf(lengths),
      bytesOf(times),
    );
  } finally {
    described.fill(0); // it has keys, also if the call has not begun
  }
  const [allMs, encryptMs] = times as unknown as [number, number];
  const compressMs = Math.max(0, allMs - encryptMs);
  const records = memory.leave(target.subarray(0, end));
  return { records, recordLengths: [...lengths], compressMs, encryptMs };
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
  for (const [index, { contents, isFrame, compression }] of planned.entries()) {
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
    const { forAddon, head } = RecordCipher.fresh(native, keys);
    put('cipher', forAddon.cipher);
    put('scheme', head.scheme);
    put('epoch', head.epoch);
    bytes.set(head.salt, at + WantedRecord.salt);
    bytes.set(forAddon.key, at + WantedRecord.key);
  }
  return bytes;
}
