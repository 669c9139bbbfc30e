/** The compress stage: makes records of contents. They follow one another in one buffer, ready to be sent. */
import {
  bufferOf,
  BytesBuilder,
  type ContentKeys,
  DIGEST_BYTES,
  type SchemeNumber,
} from '../model/index.js';
import { buildContent, buildFrame, RecordCipher, type Slice } from '../store/index.js';
import type { SealingCalls } from '../system/index.js';
import { memoryOf } from './block-builder.js';
import type {
  CompressInput,
  CompressOutput,
  ContentBlock,
  FrameOptions,
  JobResult,
} from './jobs.js';
import { RecordMemory } from './record-memory.js';
import { planRecords } from './record-plan.js';

export function compressJob(input: CompressInput, native: SealingCalls): JobResult<CompressOutput> {
  const { contents, wanted, frames, keys } = input;
  const ciphers = keys && new Ciphers(native, keys);
  const made = compressContents(contents, wanted, frames, ciphers);
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

/** Memory of this thread's jobs, which run one after another. */
const memory = new RecordMemory();

/**
 * Compresses the contents with 1 in `wanted`; all if that is undefined. `ciphers` is undefined if nothing is encrypted.
 */
export function compressContents(
  contents: ContentBlock,
  wanted: Uint8Array | undefined,
  options: FrameOptions,
  ciphers: Ciphers | undefined,
): Pick<CompressOutput, 'records' | 'recordLengths'> {
  const source = bufferOf(contents.bytes);
  const target = BytesBuilder.over(memory.room(RECORDS_HINT_BYTES));
  const recordLengths = planRecords(contents, wanted, options).map((planned) => {
    const { compression, isFrame, scheme } = planned;
    const slices = planned.contents.map((index) => sliceOf(contents, index));
    const means = { compression, target, cipher: ciphers?.fresh(scheme) };
    return isFrame ? buildFrame(source, slices, means) : buildContent(source, slices[0]!, means);
  });
  return { records: memory.leave(target.view()), recordLengths };
}

function sliceOf({ digests, starts, sizes }: ContentBlock, index: number): Slice {
  return {
    digest: digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES),
    start: starts[index]!,
    sizeBytes: sizes[index]!,
  };
}
