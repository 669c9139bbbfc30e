/** Reads a part of a large file in one job, which a thread runs chunk by chunk while chunks are sent. */
import type { Compression } from '../store/index.js';
import type { DeltaRequest, RangeOutput } from '../workers/index.js';
import type { Context } from './context.js';
import type { ContentStart, RecordStream } from './encrypt.js';
import { type Sending, UnreadableFile } from './large-file.js';
import { PartUnderWay } from './progress.js';
import { PART_BYTES } from './streams.js';

export interface ReadHow {
  /** True to make block checksums of the part. */
  readonly isSigning: boolean;
  /** Undefined if the part is only hashed. */
  readonly compression?: Compression;
  /** Given if the chunks are those of a delta. */
  readonly delta?: DeltaRequest;
  /** Receives the output; without it the part is only hashed. */
  readonly stream?: RecordStream;
}

/** Reads a part, either to hash it only, or to send the output to `stream`. Throws UnreadableFile. */
export async function readPart(
  { jobs, peer, settings, counters, progress, streams }: Context,
  file: Sending,
  offset: number,
  { isSigning, compression, delta, stream }: ReadHow,
): Promise<RangeOutput> {
  const startMs = performance.now();
  const { directoryPath, row, sparseHead, blockBytes } = file;
  const { rawRules } = settings;
  const signatureBlockBytes = isSigning ? blockBytes : undefined;
  const range = { directoryPath, row, sparseHead, offset, bytes: PART_BYTES };
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
  const stage = delta === undefined ? counters.large : counters.delta;
  stage.count(1, result.sizeBytes, result.busyMs, performance.now() - startMs);
  return result;
}

/** Returns the properties of a part's record. */
export function startOf(
  { settings }: Context,
  { isInParts, formBytes, scheme }: Sending,
): ContentStart {
  const { codec } = settings.compression;
  return { isPart: isInParts, codec, fileSizeBytes: formBytes, scheme };
}
