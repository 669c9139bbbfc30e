/**
 * Large files. One job for each part of 64 MiB reads, hashes, compresses and sends it in chunks; parts run in parallel.
 * If the server has a content of a file's size, the file is hashed first, and only new parts are sent. Otherwise it is
 * hashed while it is sent, and the server drops a duplicate at its end.
 */
import { SAMPLED_FROM_BYTES } from '../delta/index.js';
import {
  contentDigest,
  encodeParts,
  partsDigest,
  RowFlag,
  RowOffset,
  RowReader,
} from '../model/index.js';
import { type Compression, STREAM_CHUNK_BYTES } from '../store/index.js';
import { Credit, Verdict } from '../transport/index.js';
import type { DeltaRequest, JobRunner, RangeOutput } from '../workers/index.js';
import type { Budget } from './budget.js';
import { FileDelta, MAX_LOADED_BYTES } from './file-delta.js';
import {
  isSameVersion,
  type LargeOptions,
  type LargeResult,
  type PartResult,
  type Readings,
  type Sending,
  type Source,
  UnreadableFile,
  wantedScheme,
} from './large-file.js';
import { sourceOf } from './large-source.js';
import type { LargeFile } from './parcel.js';
import type { BackupPeer } from './peer.js';
import { type BackupProgress, PartUnderWay } from './progress.js';
import { type ContentStart, RecordStream } from './record-stream.js';
import { SentSizes } from './sent-sizes.js';
import { SignatureSender } from './signature-sender.js';
import type { StageCounters } from './stage.js';

/** Contents above this size are cut into parts of this size. */
export const PART_BYTES = 64 << 20;
const MIN_WINDOW_CHUNKS = 2;
/** Number of large files sent in parallel on a link with long round trips. */
export const FILES_IN_FLIGHT = 8;
/** Number of tries for a file that keeps changing; its last reading is kept. Above MAX_AGAIN_BYTES it is 1. */
const MAX_TRIES = 2;
const MAX_AGAIN_BYTES = 1 << 30;
const MAX_WINDOW_CHUNKS = 16;

export interface LargeCounters {
  readonly large: StageCounters;
  readonly delta: StageCounters;
}

export class LargeFiles {
  private readonly slots: Credit;
  /** Limits the memory of the signatures of bases. */
  private readonly loaded = new Credit(MAX_LOADED_BYTES);
  /** Sizes of files sent in this session. A second file of the same size may be a copy. */
  private readonly sentSizes = new SentSizes();
  /** Time and bytes of sending whole parts. */
  private sending = { ms: 0, bytes: 0 };
  private readonly jobs: JobRunner;
  private readonly peer: BackupPeer;
  private readonly options: LargeOptions;
  private readonly budget: Budget;
  private readonly counters: LargeCounters;
  private readonly progress: BackupProgress;

  constructor(
    jobs: JobRunner,
    peer: BackupPeer,
    options: LargeOptions,
    budget: Budget,
    counters: LargeCounters,
    progress: BackupProgress,
  ) {
    this.jobs = jobs;
    this.peer = peer;
    this.options = options;
    this.budget = budget;
    this.counters = counters;
    this.progress = progress;
    this.slots = new Credit(options.streams);
  }

  /** Number of chunks of one stream that may be in flight. The budget grows on a link with long round trips. */
  private get windowChunks(): number {
    const share = this.budget.bytes.limit / 2 / this.options.streams / STREAM_CHUNK_BYTES;
    return Math.min(MAX_WINDOW_CHUNKS, Math.max(MIN_WINDOW_CHUNKS, Math.floor(share)));
  }

  /**
   * Sends the new parts of a large file; sends them again if it changed meanwhile, unless it is very large. Rejects
   * with UnreadableFile if the file cannot be read.
   */
  async send(given: LargeFile): Promise<LargeResult> {
    let source = await sourceOf(this.jobs, given, !this.peer.isEmpty);
    const delta = await this.deltaOf(source);
    try {
      for (let tries = 1; ; tries += 1) {
        const result = await this.sendSource(source, delta);
        const { directoryPath, row } = source;
        const isRepeated = source.sizeBytes <= MAX_AGAIN_BYTES && tries < MAX_TRIES;
        if (!result.hasChanged || !isRepeated) return result;
        this.progress.readBytes -= result.readBytes;
        const { output } = await this.jobs.run('holes', { directoryPath, row });
        const { failure, sizeBytes } = output;
        if (failure !== '' || sizeBytes === 0) {
          this.progress.readBytes += result.readBytes;
          return result;
        }
        source = await sourceOf(this.jobs, { ...given, sizeBytes }, !this.peer.isEmpty);
      }
    } finally {
      delta?.close();
    }
  }

  private async sendSource(source: Source, delta: FileDelta | undefined): Promise<LargeResult> {
    const { formBytes } = source;
    const { checksumAboveBytes = 0 } = this.options;
    const isAbove = checksumAboveBytes > 0 && formBytes > checksumAboveBytes;
    const mustSign = this.isSigned(formBytes) && source.blockBytes !== undefined;
    const scheme = wantedScheme(this.options.cryptWish, source);
    const file: Sending = {
      ...source,
      scheme,
      isInParts: formBytes > PART_BYTES,
      hashFirst:
        isAbove ||
        source.hashFirst ||
        this.sentSizes.has(formBytes) ||
        delta?.isMadeMeanwhile === true,
      delta,
      signature: mustSign ? new SignatureSender(this.peer, this.jobs, scheme) : undefined,
    };
    this.sentSizes.add(formBytes);
    const offsets: number[] = [];
    for (let at = 0; at < formBytes; at += PART_BYTES) offsets.push(at);
    // Waits for all parts before it reports an error, so that no part streams on after its file has failed.
    const settled = await Promise.allSettled(offsets.map((offset) => this.part(file, offset)));
    const parts = settled.flatMap((part) => (part.status === 'fulfilled' ? [part.value] : []));
    const reasons = settled.flatMap((part) => (part.status === 'rejected' ? [part.reason] : []));
    if (reasons.length > 0) {
      file.signature?.abort();
      this.progress.readBytes -= parts.reduce((sum, part) => sum + part.sizeBytes, 0);
      throw reasons.find((reason) => !(reason instanceof UnreadableFile)) ?? reasons[0];
    }
    return this.finish(file, parts);
  }

  /**
   * True if signatures are sent. A server cannot make those of encrypted contents, so the client sends those of changed
   * files, and of files that are expensive to send whole.
   */
  private isSigned(formBytes: number): boolean {
    if (this.options.sendSignatures === true) return true;
    const { contentKeys, isEmpty } = this.peer;
    return contentKeys !== undefined && (!isEmpty || formBytes >= SAMPLED_FROM_BYTES);
  }

  /** Joins the results of the parts. */
  private async finish(file: Sending, parts: readonly PartResult[]): Promise<LargeResult> {
    const sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0);
    const row = Buffer.from(parts[0]!.row);
    // Each part may be stable, but from another version of the file. The file may also have outgrown the bytes read.
    const isSparse = file.sparseHead !== undefined;
    const fileBytes = isSparse ? file.sizeBytes : sizeBytes;
    const claimedBytes = new RowReader(row).sizeBytes(0);
    const isInconsistent = parts.some((part) => part.isInconsistent);
    const hasChanged =
      parts.some((part) => part.hasChanged || !isSameVersion(part.row, row)) ||
      claimedBytes !== fileBytes;
    row.writeBigUInt64LE(BigInt(fileBytes), RowOffset.sizeBytes);
    if (hasChanged) {
      const rows = new RowReader(row);
      rows.setFlags(0, rows.flags(0) | RowFlag.changedWhileRead | RowFlag.unsettled);
    }
    const full = parts.filter((part) => part.sizeBytes > 0);
    let digest = full[0]?.digest ?? Buffer.alloc(0);
    if (file.isInParts && full.length > 0) {
      digest = contentDigest(this.jobs.native, this.peer.contentKeys, partsDigest(full));
      this.peer.assembly(digest, sizeBytes, encodeParts(full));
    }
    const { signature } = file;
    // Parts of a changed file may end anywhere, so their block checksums cannot be joined.
    if (!hasChanged && digest.length > 0) await this.signRest(file, parts);
    if (!hasChanged && digest.length > 0 && signature?.isWhole(parts.length) === true) {
      await signature.end(digest, sizeBytes);
    } else signature?.abort();
    const read = { hasChanged, isInconsistent, readBytes: sizeBytes, claimedBytes, isSparse };
    return { row, digest, ...read, incomplete: parts[0]!.incomplete };
  }

  /** Makes the missing signatures of parts that the server already had, if other parts were sent. */
  private async signRest(file: Sending, parts: readonly PartResult[]): Promise<void> {
    const { signature } = file;
    if (signature === undefined || signature.isWhole(parts.length)) return;
    // If the server had all parts, it has the signature too, or the next version can do without it.
    if (parts.every((part) => part.wasThere)) return;
    await Promise.all(
      parts.map(async (part, number) => {
        if (part.isSigned) return;
        const result = await this.reading(file, () =>
          this.range(file, number * PART_BYTES, { isSigning: true }),
        );
        const isSame = part.digest.equals(result.digest);
        if (isSame && result.signature !== undefined)
          await signature.part(number, result.signature);
      }),
    );
  }

  /** Starts the delta stage; undefined if the server offers no basis, or the file does not suit a delta. */
  private async deltaOf(source: Source): Promise<FileDelta | undefined> {
    const offer = this.peer.basisOf(source.slot, new RowReader(source.row).name(0));
    if (offer === undefined) return undefined;
    if (source.blockBytes !== undefined) {
      return FileDelta.begin(offer, source, this.jobs, this.loaded);
    }
    offer.release();
    return undefined;
  }

  private async part(file: Sending, offset: number): Promise<PartResult> {
    const { first, sent } =
      file.delta === undefined
        ? await this.reading(file, () => this.hashedAndSent(file, offset))
        : await this.comparedAndSent(file, offset, file.delta);
    const wasThere = sent === undefined;
    const result = (sent ?? first)!;
    if (wasThere && offset === 0 && result.sizeBytes > 0) this.progress.filesHad += 1;
    const digest = Buffer.from(result.digest);
    const isFirstSame = first !== undefined && digest.equals(first.digest);
    // Two readings of an unchanged version gave different bytes.
    const differs = sent !== undefined && first !== undefined && !isFirstSame && !sent.hasChanged;
    const isTwoVersions = differs && !isSameVersion(Buffer.from(first.row), Buffer.from(sent.row));
    const sums = result.signature ?? (isFirstSame ? first.signature : undefined);
    if (sums !== undefined) await file.signature?.part(offset / PART_BYTES, sums);
    const { sizeBytes, incomplete } = result;
    const isInconsistent = result.isInconsistent || (differs && !isTwoVersions);
    const hasChanged = result.hasChanged || isInconsistent;
    this.progress.readBytes += sizeBytes; // counted once, even if it was read twice
    const row = Buffer.from(result.row);
    const isSigned = sums !== undefined;
    return { digest, sizeBytes, row, hasChanged, isInconsistent, incomplete, wasThere, isSigned };
  }

  /** Hashes and sends a part under one slot, so that a second file of the same content finds it on the server. */
  private async hashedAndSent(file: Sending, offset: number): Promise<Readings> {
    const first = file.hashFirst ? await this.range(file, offset, { isSigning: false }) : undefined;
    if (first !== undefined && (await this.isThere(first))) return { first, sent: undefined };
    return { first, sent: await this.whole(file, offset) };
  }

  /** Hashes and sends a part, as a delta if that pays. Other files are read while it waits for the basis. */
  private async comparedAndSent(
    file: Sending,
    offset: number,
    delta: FileDelta,
  ): Promise<Readings> {
    // The first of two readings makes block checksums only while the server makes those of the basis.
    const isSigning = file.signature !== undefined && delta.isMadeMeanwhile;
    const first = file.hashFirst
      ? await this.reading(file, () => this.range(file, offset, { isSigning }))
      : undefined;
    if (first !== undefined && (await this.isThere(first))) return { first, sent: undefined };
    const canCompare = await delta.isReady;
    const sent = canCompare
      ? await this.reading(file, () => this.asDelta(file, offset, delta, first))
      : undefined;
    return { first, sent: sent ?? (await this.reading(file, () => this.whole(file, offset))) };
  }

  /** Lets more parts wait for their answers while others are read, for a link with long round trips. */
  widen(): void {
    this.slots.grow(Math.max(0, FILES_IN_FLIGHT - this.options.streams));
    this.counters.large.concurrency = Math.max(FILES_IN_FLIGHT, this.options.streams);
  }

  /** Runs `read` for a part once a slot is free and its window fits into the budget. */
  private async reading<T>(file: Sending, read: () => Promise<T>): Promise<T> {
    await this.slots.take(1);
    // The whole window is taken before the job starts. A job that waited for the shared budget while it keeps a thread
    // could wait for work that needs that thread.
    const mostBytes = Math.min(file.formBytes, PART_BYTES) + STREAM_CHUNK_BYTES;
    const windowBytes = Math.min(this.windowChunks * STREAM_CHUNK_BYTES, mostBytes);
    await this.budget.bytes.take(windowBytes);
    try {
      return await read();
    } finally {
      this.budget.bytes.give(windowBytes);
      this.slots.give(1);
    }
  }

  /** True if the server has the content that was hashed, or if it is empty. */
  private async isThere(result: RangeOutput): Promise<boolean> {
    if (result.sizeBytes === 0) return true;
    // Sending is not promised, since the file may change before it is read again.
    const [verdict] = await this.peer.ask(result.digest, false);
    // `coming` is a stream of this session. The part is sent again, and the server drops the stream that ends second.
    return verdict === Verdict.have;
  }

  /** Sends a part as a delta; undefined if that does not pay. */
  private async asDelta(
    file: Sending,
    offset: number,
    delta: FileDelta,
    first: RangeOutput | undefined,
  ): Promise<RangeOutput | undefined> {
    const { compression } = this.options;
    const { ms, bytes } = this.sending;
    const partBytes = Math.min(PART_BYTES, file.formBytes - offset);
    const request = delta.request(partBytes, file.formBytes, bytes > 0 ? ms / bytes : undefined);
    const stream = RecordStream.delta(this.peer, this.jobs, this.startOf(file), delta.offer);
    try {
      const isSigning = file.signature !== undefined && first?.signature === undefined;
      const result = await this.range(
        file,
        offset,
        { isSigning, compression, delta: request },
        stream,
      );
      const { isDropped, rawBytes } = result.delta!;
      if (isDropped || result.sizeBytes === 0) {
        delta.dropped += isDropped ? 1 : 0;
        stream.abort();
        return isDropped ? undefined : result;
      }
      await stream.end(result.digest, result.sizeBytes, rawBytes);
      this.progress.contentsSent += 1;
      this.progress.deltasSent += 1;
      return result;
    } catch (error) {
      stream.abort();
      throw error;
    }
  }

  private startOf({ isInParts, formBytes, scheme }: Sending): ContentStart {
    const { codec } = this.options.compression;
    return { isPart: isInParts, codec, fileSizeBytes: formBytes, scheme };
  }

  private async whole(file: Sending, offset: number): Promise<RangeOutput> {
    const { compression } = this.options;
    const stream = RecordStream.content(this.peer, this.jobs, this.startOf(file));
    try {
      const startMs = performance.now();
      const isSigning = file.signature !== undefined;
      const result = await this.range(file, offset, { isSigning, compression }, stream);
      if (result.sizeBytes === 0) stream.abort();
      else {
        await stream.end(result.digest, result.sizeBytes, result.sizeBytes);
        this.progress.contentsSent += 1;
        const { ms, bytes } = this.sending;
        const elapsedMs = performance.now() - startMs;
        this.sending = { ms: ms + elapsedMs, bytes: bytes + result.sizeBytes };
      }
      return result;
    } catch (error) {
      stream.abort();
      throw error;
    }
  }

  /** Reads a part, either to hash it only, or to send the output to `stream`. */
  private async range(
    file: Sending,
    offset: number,
    how: { isSigning: boolean; compression?: Compression; delta?: DeltaRequest },
    stream?: RecordStream,
  ): Promise<RangeOutput> {
    const startMs = performance.now();
    const { directoryPath, row, sparseHead, blockBytes } = file;
    const { rawRules } = this.options;
    const { compression, delta } = how;
    const signatureBlockBytes = how.isSigning ? blockBytes : undefined;
    const range = { directoryPath, row, sparseHead, offset, bytes: PART_BYTES };
    const keys = this.peer.contentKeys;
    const cipher = stream?.cipher?.head;
    const input = { ...range, compression, rawRules, delta, signatureBlockBytes, keys, cipher };
    const underWay = new PartUnderWay(this.progress);
    const result = await this.jobs.runRange(input, this.windowChunks, (chunk) => {
      underWay.sent(chunk.length);
      return stream?.chunk(chunk) ?? Promise.resolve();
    });
    underWay.end();
    if (result.failure !== '') throw new UnreadableFile(result.failure);
    this.peer.owners(result.owners);
    const counters = delta === undefined ? this.counters.large : this.counters.delta;
    counters.count(1, result.sizeBytes, result.busyMs, performance.now() - startMs);
    return result;
  }
}
