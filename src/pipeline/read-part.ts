/** Reads a part of a large file in one job. A thread runs the job chunk by chunk while chunks are sent. */
import type { Compression } from '../store/index.js';
import type { DeltaRequest, RangeOutput } from '../workers/index.js';
import type { Context } from './context.js';
import type { ContentStart, RecordStream } from './encryption.js';
import { type Part, type Sending, UnreadableFile } from './large-file.js';
import { PartUnderWay } from './progress.js';
import type { StageCounters } from './stage.js';
import { PART_BYTES } from './streams.js';

interface ReadHow {
  /** True to compute block checksums of the part. */
  readonly isSigning: boolean;
  /** Compression of the chunks; undefined if the part is only hashed. */
  readonly compression?: Compression;
  /** Request for a delta; undefined unless the chunks are those of a delta. */
  readonly delta?: DeltaRequest;
  /** Stream that receives the output; if undefined, the part is only hashed. */
  readonly stream?: RecordStream;
  /** The stage that runs the job. The job also does the work of other stages. */
  readonly host: StageCounters;
}

/** Reads a part, either to hash it only, or to send the output to `stream`. Throws UnreadableFile. */
export async function readPart(
  context: Context,
  { file, offset }: Pick<Part, 'file' | 'offset'>,
  { isSigning, compression, delta, stream, host }: ReadHow,
): Promise<RangeOutput> {
  const { jobs, peer, settings, progress, streams } = context;
  const { directoryPath, directory, row, sparseHead, blockBytes } = file;
  const { rawRules } = settings;
  const signatureBlockBytes = isSigning ? blockBytes : undefined;
  const range = { directoryPath, directory, row, sparseHead, offset, bytes: PART_BYTES };
  const keys = peer.contentKeys;
  const cipher = stream?.cipher?.head;
  const input = { ...range, compression, rawRules, delta, signatureBlockBytes, keys, cipher };
  const underWay = new PartUnderWay(progress);
  const result = await jobs.runRange(input, streams.windowChunks, (chunk) => {
    underWay.sent(chunk.length);
    return stream?.chunk(chunk) ?? Promise.resolve();
  });
  underWay.end();
  if (result.failure !== '') throw new UnreadableFile(result.failure);
  peer.owners(result.owners);
  const stages = { isSent: stream !== undefined, isDelta: delta !== undefined };
  countReading(context, result, { ...stages, isEncrypted: cipher !== undefined }, host);
  return result;
}

/** Counts one reading of a part in each stage that its job ran. */
function countReading(
  { counters }: Context,
  { sizeBytes, spent }: RangeOutput,
  has: { readonly isSent: boolean; readonly isDelta: boolean; readonly isEncrypted: boolean },
  host: StageCounters,
): void {
  const { hash, delta, compress, encrypt } = counters.part;
  hash.count(1, sizeBytes, spent.hashMs, host);
  if (has.isDelta) delta.count(1, sizeBytes, spent.deltaMs, host);
  if (has.isSent) compress.count(1, sizeBytes, spent.compressMs, host);
  if (has.isEncrypted) encrypt.count(1, sizeBytes, spent.encryptMs, host);
}

/** Returns the properties of a part's record. */
export function startOf(
  { settings }: Context,
  { isInParts, formBytes, scheme }: Sending,
): ContentStart {
  const { codec } = settings.compression;
  return { isPart: isInParts, codec, fileSizeBytes: formBytes, scheme };
}
