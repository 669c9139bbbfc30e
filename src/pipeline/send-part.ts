/**
 * Sends a part of a large file. Small files are never sent as deltas, since the round trip costs more than sending a
 * whole file.
 */
import type { Compression } from '../store/index.js';
import { Verdict } from '../transport/index.js';
import { type DeltaRequest, type RangeOutput, spanBytesOf } from '../workers/index.js';
import type { Context } from './context.js';
import type { ContentStart, RecordStream } from './encryption.js';
import type { FileDelta, NearSums } from './file-delta.js';
import { type Part, type PartReadings, type Sending, UnreadableFile } from './large-file.js';
import { PartUnderWay } from './progress.js';
import { PART_BYTES } from './streams.js';

/** A reading that was sent, and the stream that its record still needs to be ended. */
interface SentReading {
  readonly sent: RangeOutput;
  /** Undefined for a part without bytes, which has no record. */
  readonly stream: RecordStream | undefined;
}

interface ReadHow {
  /** True to compute block checksums of the part. */
  readonly isSigning: boolean;
  /** Compression of the chunks; undefined if the part is only hashed. */
  readonly compression?: Compression;
  /** Request for a delta; undefined unless the chunks are those of a delta. */
  readonly delta?: DeltaRequest;
  /** Stream that receives the output; if undefined, the part is only hashed. */
  readonly stream?: RecordStream;
}

/**
 * Sends a part. It is hashed first if the server may have it, and sent only if the server lacks it: as a delta if the
 * file has a basis and the delta pays, or whole. A job reads, hashes, compresses and encrypts chunk by chunk, and waits
 * while the chunks in flight fill the part's window. A part that waits for a slot takes no bytes of the budget; one that
 * waits for a signature has no slot, so other files are read meanwhile. Throws UnreadableFile.
 */
export async function sendPart(context: Context, part: Part): Promise<PartReadings> {
  const { file, slot } = part;
  const { delta } = file;
  let first: RangeOutput | undefined;
  if (file.hashFirst) {
    // The first of two readings makes block checksums only if it is probably the only one.
    const isOnlyReading = file.content !== undefined || delta?.isDear === true;
    const isSigning = file.signature !== undefined && isOnlyReading;
    first = await slot.reading(() => readPart(context, part, { isSigning }));
    if (await isThere(context, first)) return { first, sent: undefined, wasThere: true };
  }
  const isSigned = (first?.signatures.length ?? 0) > 0;
  const reading =
    (delta && (await sendNear(context, part, { delta, isSigned }))) ||
    (delta && (await delta.isReady()) && (await sendDelta(context, part, { delta, isSigned }))) ||
    (await slot.reading(() => sendWhole(context, part)));
  return { first, sent: await ended(context, reading), wasThere: false };
}

/** True if the server has the hashed content, or if the content is empty. */
async function isThere({ peer }: Context, { sizeBytes, digest }: RangeOutput): Promise<boolean> {
  if (sizeBytes === 0) return true;
  // Sending is not promised, since the file may change before it is read again.
  const [verdict] = await peer.verdicts(digest, false);
  // `coming` is a stream of this session. The part is sent again, and the server drops the stream that ends second.
  return verdict === Verdict.have;
}

/** A delta of a part, and what it is made on. */
interface DeltaHow {
  readonly delta: FileDelta;
  /** True if the part has its block checksums. */
  readonly isSigned: boolean;
  /** Signature of the basis around the part's place; undefined for that of the whole basis. */
  readonly near?: NearSums;
}

/** Compares a part with the basis around its place, as `sendDelta` does. */
async function sendNear(
  context: Context,
  part: Part,
  how: DeltaHow,
): Promise<SentReading | undefined> {
  const near = await how.delta.near(part.offset, partBytesOf(part));
  if (near === undefined) return undefined;
  try {
    return await sendDelta(context, part, { ...how, near });
  } finally {
    near.close();
  }
}

function partBytesOf({ file, offset }: Part): number {
  return Math.min(PART_BYTES, file.formBytes - offset);
}

/** Compares a part with its basis, and sends the chunks of the delta. Returns undefined if that does not pay. */
async function sendDelta(
  context: Context,
  part: Part,
  { delta, isSigned, near }: DeltaHow,
): Promise<SentReading | undefined> {
  const { encryption, settings } = context;
  const { file, slot } = part;
  const request = delta.request(partBytesOf(part), file.formBytes, near);
  const isSigning = file.signature !== undefined && !isSigned;
  const how = { isSigning, compression: settings.compression, delta: request };
  const reading = await slot.reading(() =>
    readInto(context, part, how, encryption.openDelta(startOf(context, file), delta.offer)),
  );
  if (reading.sent.delta?.isDropped !== true) return reading;
  delta.drop(near !== undefined);
  return undefined;
}

/** Sends the chunks of a whole part. */
function sendWhole(context: Context, part: Part): Promise<SentReading> {
  const { encryption, settings } = context;
  const { file } = part;
  const how = { isSigning: file.signature !== undefined, compression: settings.compression };
  return readInto(context, part, how, encryption.openContent(startOf(context, file)));
}

/** Reads a part into a stream, which is aborted if there is nothing to send. */
async function readInto(
  context: Context,
  part: Part,
  how: ReadHow,
  stream: RecordStream,
): Promise<SentReading> {
  try {
    const sent = await readPart(context, part, { ...how, stream });
    if (sent.sizeBytes > 0 && sent.delta?.isDropped !== true) return { sent, stream };
    stream.abort();
    return { sent, stream: undefined };
  } catch (error) {
    stream.abort();
    throw error;
  }
}

/** Seals and ends the record of a reading. */
async function ended({ progress }: Context, { sent, stream }: SentReading): Promise<RangeOutput> {
  if (stream === undefined) return sent;
  const { digest, sizeBytes, delta } = sent;
  try {
    await stream.end(digest, sizeBytes, delta?.rawBytes ?? sizeBytes);
  } catch (error) {
    stream.abort();
    throw error;
  }
  progress.contentsSent += 1;
  if (delta !== undefined) progress.deltasSent += 1;
  return sent;
}

/** Reads a part in one job, either to hash it only, or to send the output to `stream`. Throws UnreadableFile. */
export async function readPart(
  context: Context,
  { file, offset }: Pick<Part, 'file' | 'offset'>,
  { isSigning, compression, delta, stream }: ReadHow,
): Promise<RangeOutput> {
  const { counters, jobs, peer, settings, similar, progress, streams } = context;
  const { directoryPath, directory, row, sparseHead, blockBytes, formBytes, content } = file;
  const { rawRules } = settings;
  const signatureBlocks = isSigning ? (file.signature?.blocks ?? []) : [];
  const range = { directoryPath, directory, row, sparseHead, offset, bytes: PART_BYTES, content };
  const keys = peer.contentKeys;
  const cipher = stream?.cipher?.head;
  const { gear } = similar;
  const isKept = gear !== undefined && blockBytes !== undefined;
  const features = isKept ? { gear, spanBytes: spanBytesOf(formBytes) } : undefined;
  const how = { compression, rawRules, delta, signatureBlocks, features };
  const input = { ...range, ...how, keys, cipher };
  const underWay = new PartUnderWay(progress);
  const result = await jobs.runRange(input, streams.windowChunks, (chunk) => {
    underWay.sent(chunk.length);
    return stream?.chunk(chunk) ?? Promise.resolve();
  });
  underWay.end();
  if (result.failure !== '') throw new UnreadableFile(result.failure);
  peer.owners(result.owners);
  counters.parts.count(0, 0, result.busyMs);
  return result;
}

/** Returns the properties of a part's record. */
function startOf({ settings }: Context, { isInParts, formBytes, scheme }: Sending): ContentStart {
  const { codec } = settings.compression;
  return { isPart: isInParts, codec, fileSizeBytes: formBytes, scheme };
}
