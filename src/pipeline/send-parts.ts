/**
 * Sends a large file as parts of 64 MiB, which run in parallel. If the server has a content of the file's size, each
 * part is hashed first, and only new parts are sent. Otherwise it is hashed while it is sent, and the server drops a
 * duplicate at its end.
 */
import { SAMPLED_FROM_BYTES } from '../delta/index.js';
import {
  contentDigest,
  encodeParts,
  partsDigest,
  REPLACED,
  RowFlag,
  RowOffset,
  RowReader,
} from '../model/index.js';
import type { Compression } from '../store/index.js';
import { Verdict } from '../transport/index.js';
import {
  closeRow,
  type DeltaRequest,
  isSameAccess,
  type RangeOutput,
  spanBytesOf,
} from '../workers/index.js';
import type { Context } from './context.js';
import type { ContentStart, RecordStream } from './encryption.js';
import type { FileDelta, NearSums } from './file-delta.js';
import {
  chosenScheme,
  isSameOwner,
  isSameVersion,
  type LargeResult,
  type Part,
  type PartReadings,
  type PartResult,
  type Sending,
  type Source,
  UnreadableFile,
} from './large-file.js';
import { openLarge } from './open-large.js';
import type { LargeFile } from './parcel.js';
import { PartUnderWay } from './progress.js';
import { SignatureSender } from './signature-sender.js';
import { PART_BYTES, PartSlot } from './streams.js';

/**
 * Maximum number of tries for a file that keeps changing; its last reading is kept. A file above MAX_AGAIN_BYTES gets
 * only 1 try.
 */
const MAX_TRIES = 2;
const MAX_AGAIN_BYTES = 1 << 30;
/** A place that differs from the basis ends a copied range, and is inserted. */
const COMMANDS_OF_EDIT = 2;

export class PartsSender {
  constructor(private readonly context: Context) {}

  /**
   * Sends a file from its source, and closes its delta. Resolves when the server has all parts. Parts wait for slots and
   * windows of `context.streams`. A file that changed meanwhile is sent again, unless it is very large. Rejects with
   * UnreadableFile if it cannot be read.
   */
  async send(file: LargeFile, first: Source, delta: FileDelta | undefined): Promise<LargeResult> {
    try {
      let source = first;
      for (let tries = 1; ; tries += 1) {
        const isLast = tries === MAX_TRIES;
        const result = await this.sendListed(source, delta, isLast);
        const isRepeated = !isLast && source.sizeBytes <= MAX_AGAIN_BYTES;
        if (result !== undefined && (!result.hasChanged || !isRepeated)) return result;
        const again = await this.sourceNow(file, source);
        if (again === undefined) {
          if (result !== undefined) return result;
          throw new UnreadableFile(REPLACED);
        }
        this.context.progress.readBytes -= result?.readBytes ?? 0;
        source = again;
      }
    } finally {
      delta?.close();
    }
  }

  /** Sends a file. Resolves with undefined if another file has its name, unless this is the last try. */
  private async sendListed(
    source: Source,
    delta: FileDelta | undefined,
    isLast: boolean,
  ): Promise<LargeResult | undefined> {
    try {
      return await this.sendSource(source, delta);
    } catch (error) {
      if (isLast || !(error instanceof UnreadableFile) || error.reason !== REPLACED) throw error;
      return undefined;
    }
  }

  /** Returns the source of what has the file's name now; undefined if that cannot be read, or is empty. */
  private async sourceNow(file: LargeFile, source: Source): Promise<Source | undefined> {
    const { directoryPath, directory, row } = source;
    const { output } = await this.context.jobs.run('holes', { directoryPath, directory, row });
    const { failure, sizeBytes } = output;
    if (failure !== '' || sizeBytes === 0) return undefined;
    return openLarge(this.context, { ...file, row: Buffer.from(output.row), sizeBytes });
  }

  private async sendSource(source: Source, delta: FileDelta | undefined): Promise<LargeResult> {
    const { formBytes } = source;
    using signature = await this.signatureOf(source, delta);
    const file = this.sendingOf(source, delta, signature);
    const offsets: number[] = [];
    for (let at = 0; at < formBytes; at += PART_BYTES) offsets.push(at);
    // Waits for all parts before it reports an error, so that no part streams on after its file has failed.
    const sending = offsets.map((offset, number) => this.sendPart(file, offset, number));
    const settled = await Promise.allSettled(sending);
    const parts = settled.flatMap((part) => (part.status === 'fulfilled' ? [part.value] : []));
    const reasons = settled.flatMap((part) => (part.status === 'rejected' ? [part.reason] : []));
    if (!parts.every((part) => isSameOwner(part.row, parts[0]!.row)))
      reasons.push(new UnreadableFile(REPLACED));
    if (reasons.length > 0) {
      this.context.progress.readBytes -= parts.reduce((sum, part) => sum + part.sizeBytes, 0);
      throw reasons.find((reason) => !(reason instanceof UnreadableFile)) ?? reasons[0];
    }
    return this.finish(file, parts);
  }

  /** Determines how the file is sent. */
  private sendingOf(
    source: Source,
    delta: FileDelta | undefined,
    signature: SignatureSender | undefined,
  ): Sending {
    const { formBytes } = source;
    const { settings, streams } = this.context;
    const { checksumAboveBytes = 0 } = settings;
    const isAbove = checksumAboveBytes > 0 && formBytes > checksumAboveBytes;
    const isInParts = formBytes > PART_BYTES;
    const hasSame = isInParts && delta?.isDear === true; // most parts of a large file that grew, or was edited
    const mayBeThere = source.hashFirst || streams.sentSizes.has(formBytes) || hasSame;
    streams.sentSizes.set(formBytes, true);
    return {
      ...source,
      scheme: chosenScheme(settings.cipherChoice, source),
      isInParts,
      hashFirst: isAbove || mayBeThere,
      delta,
      signature,
    };
  }

  /**
   * Returns the sender of a file's signature; undefined if none is sent. A server cannot make signatures of encrypted
   * contents. So the client sends those of deltas, and of contents that are too large for it to read them back from the server.
   */
  private async signatureOf(
    source: Source,
    delta: FileDelta | undefined,
  ): Promise<SignatureSender | undefined> {
    const { encryption, peer, settings, streams } = this.context;
    const { blockBytes, formBytes } = source;
    const isNeeded = delta !== undefined || formBytes > SAMPLED_FROM_BYTES;
    const isSigned =
      settings.sendSignatures === true || (peer.contentKeys !== undefined && isNeeded);
    if (!isSigned || blockBytes === undefined) return undefined;
    return SignatureSender.begin(encryption, {
      blockBytes,
      isDelta: delta !== undefined,
      mostBytes: formBytes,
      scheme: chosenScheme(settings.cipherChoice, source),
      memory: streams.madeBytes,
    });
  }

  /** Sends a part, or finds that the server has it. Rejects with UnreadableFile. */
  async sendPart(file: Sending, offset: number, number: number): Promise<PartResult> {
    // Without a basis a part is hashed and sent under one slot, so that a second file of its content finds it on the
    // server. With a basis it gives the slot back: other files are read while it waits for the signature.
    const isKept = file.delta === undefined;
    const slot = new PartSlot(this.context.streams, file.formBytes, isKept);
    const part = { file, offset, number, slot };
    try {
      const readings = await sendPart(this.context, part);
      slot.leave();
      return await this.resultOf(part, readings);
    } finally {
      slot.leave();
    }
  }

  /** Joins the readings of a part, and passes on its block checksums. */
  private async resultOf(
    { file, offset, number }: Part,
    { first, sent, wasThere }: PartReadings,
  ): Promise<PartResult> {
    const { counters, progress } = this.context;
    const result = (sent ?? first)!;
    if (wasThere && offset === 0 && result.sizeBytes > 0) progress.filesHad += 1;
    const digest = Buffer.from(result.digest);
    const isFirstSame = first !== undefined && digest.equals(first.digest);
    // Two readings of an unchanged version gave different bytes.
    const differs = sent !== undefined && first !== undefined && !isFirstSame && !sent.hasChanged;
    const isTwoVersions = differs && !isSameVersion(Buffer.from(first.row), Buffer.from(sent.row));
    const sums = [result, isFirstSame ? first : result].find((one) => one.signatures.length > 0);
    if (sums !== undefined) file.signature?.part(number, sums.signatures);
    const { sizeBytes, incomplete, wasClosed, features } = result;
    const isInconsistent = result.isInconsistent || (differs && !isTwoVersions);
    const hasChanged = result.hasChanged || isInconsistent;
    counters.parts.count(1, sizeBytes, 0);
    progress.readBytes += sizeBytes; // counted once, even if it was read twice
    const row = Buffer.from(result.row);
    const isSigned = sums !== undefined;
    const commands = wasThere ? 0 : (sent?.delta?.commands ?? Infinity);
    const more = { incomplete, wasClosed, wasThere, isSigned, edits: commands / COMMANDS_OF_EDIT };
    return { digest, sizeBytes, features, row, hasChanged, isInconsistent, ...more };
  }

  /** Joins the results of the parts. */
  async finish(file: Sending, parts: readonly PartResult[]): Promise<LargeResult> {
    const { jobs, peer } = this.context;
    const sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0);
    const row = Buffer.from(parts[0]!.row);
    // Each part may be stable, but from another version of the file. The file may also have outgrown the bytes read.
    const isSparse = file.sparseHead !== undefined;
    const fileBytes = isSparse ? file.sizeBytes : sizeBytes;
    const rows = new RowReader(row);
    const claimedBytes = rows.sizeBytes(0);
    const isInconsistent = parts.some((part) => part.isInconsistent);
    const hasChanged =
      parts.some((part) => part.hasChanged || !isSameVersion(part.row, row)) ||
      claimedBytes !== fileBytes;
    row.writeBigUInt64LE(BigInt(fileBytes), RowOffset.sizeBytes);
    const wasClosed = parts.some((part) => part.wasClosed || !isSameAccess(part.row, row));
    if (wasClosed) closeRow(rows, 0);
    if (hasChanged) rows.setFlags(0, rows.flags(0) | RowFlag.changedWhileRead | RowFlag.unsettled);
    const full = parts.filter((part) => part.sizeBytes > 0);
    let digest = full[0]?.digest ?? Buffer.alloc(0);
    if (file.isInParts && full.length > 0) {
      digest = contentDigest(jobs.native, peer.contentKeys, partsDigest(full));
      peer.assembly(digest, sizeBytes, encodeParts(full));
    }
    const { signature } = file;
    // Parts of a changed file may end anywhere, so their block checksums cannot be joined.
    if (!hasChanged && digest.length > 0) await this.signRest(file, parts);
    if (!hasChanged && digest.length > 0 && signature?.isWhole(parts.length) === true) {
      const edits = parts.reduce((sum, part) => sum + part.edits, 0);
      await signature.end(digest, sizeBytes, edits);
    }
    const read = { hasChanged, isInconsistent, readBytes: sizeBytes, claimedBytes, isSparse };
    const features = Buffer.concat(parts.map((part) => part.features));
    const incomplete = parts.find((part) => part.incomplete !== '')?.incomplete ?? '';
    return { row, digest, features, ...read, incomplete };
  }

  /**
   * Makes the missing signatures of parts that the server already had, if other parts were sent. The signature stays incomplete
   * if a part cannot be read once more; its content is stored.
   */
  private async signRest(file: Sending, parts: readonly PartResult[]): Promise<void> {
    const { signature } = file;
    if (signature === undefined || signature.isWhole(parts.length)) return;
    // If the server had all parts, it has the signature too, or the next version can do without it.
    if (parts.every((part) => part.wasThere)) return;
    await Promise.all(
      parts.map(async (part, number) => {
        if (part.isSigned) return;
        const slot = new PartSlot(this.context.streams, file.formBytes, false);
        try {
          const result = await slot.reading(() =>
            readPart(this.context, { file, offset: number * PART_BYTES }, { isSigning: true }),
          );
          const isSame = part.digest.equals(result.digest);
          if (isSame) signature.part(number, result.signatures);
        } catch (error) {
          if (!(error instanceof UnreadableFile)) throw error;
        }
      }),
    );
  }
}

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
 * Sends a part of a large file; a small one is never sent as a delta, since the round trip costs more. It is hashed first if the server may have it, and sent only if the server lacks it: as a delta if the
 * file has a basis and the delta pays, or whole. A job reads, hashes, compresses and encrypts chunk by chunk, and waits
 * while the chunks in flight fill the part's window. A part that waits for a slot takes no bytes of the budget; one that
 * waits for a signature has no slot, so other files are read meanwhile. Throws UnreadableFile.
 */
async function sendPart(context: Context, part: Part): Promise<PartReadings> {
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
async function readPart(
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
