/**
 * Large files: read, hashed, compressed and sent in chunks by one job for each part of 64 MiB, parts
 * side by side. A file of whose size the server has something is hashed first and sent only where
 * that is new; otherwise it is hashed while it is sent, and the server drops a duplicate at its end.
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
import type { BackupProgress } from './progress.js';
import { type ContentStart, RecordStream } from './record-stream.js';
import { SentSizes } from './sent-sizes.js';
import { SignatureSender } from './signature-sender.js';
import type { StageCounters } from './stage.js';

/** Contents above this are cut into parts of this size. */
export const PART_BYTES = 64 << 20;
const MIN_WINDOW_CHUNKS = 2;
/** Large files that are sent side by side over a long way. */
export const FILES_IN_FLIGHT = 8;
/** A file that changes all the time is kept as it was read at last, a larger one than this at once. */
const MAX_TRIES = 2;
const MAX_AGAIN_BYTES = 1 << 30;
const MAX_WINDOW_CHUNKS = 16;

/** Counters of the two stages that large files pass. */
export interface LargeCounters {
  readonly large: StageCounters;
  readonly delta: StageCounters;
}

export class LargeFiles {
  private readonly slots: Credit;
  /** For signatures of bases in memory. */
  private readonly loaded = new Credit(MAX_LOADED_BYTES);
  /** Sizes this session has sent: a second file of one may be a copy. */
  private readonly sentSizes = new SentSizes();
  /** What sending whole parts took. */
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

  /** Chunks of a stream that may be under way. The budget grows when a link turns out to be long. */
  private get windowChunks(): number {
    const share = this.budget.bytes.limit / 2 / this.options.streams / STREAM_CHUNK_BYTES;
    return Math.min(MAX_WINDOW_CHUNKS, Math.max(MIN_WINDOW_CHUNKS, Math.floor(share)));
  }

  /**
   * Sends a large file's content as far as it is new, again if it changed while it was read, unless it is
   * very large. Rejects with UnreadableFile if it cannot.
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
        const { output } = await this.jobs.run('holes', { directoryPath, row });
        const { failure, sizeBytes } = output;
        if (failure !== '' || sizeBytes === 0) return result;
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
    // All of them end before anything is told: none may stream on behind a failed file.
    const settled = await Promise.allSettled(offsets.map((offset) => this.part(file, offset)));
    const parts = settled.flatMap((part) => (part.status === 'fulfilled' ? [part.value] : []));
    const reasons = settled.flatMap((part) => (part.status === 'rejected' ? [part.reason] : []));
    if (reasons.length > 0) {
      file.signature?.abort();
      throw reasons.find((reason) => !(reason instanceof UnreadableFile)) ?? reasons[0];
    }
    return this.finish(file, parts);
  }

  /**
   * A server cannot make signatures of what it cannot read: then those of files that change are sent, and of
   * those that are dear to send whole.
   */
  private isSigned(formBytes: number): boolean {
    if (this.options.sendSignatures === true) return true;
    const { contentKeys, isEmpty } = this.peer;
    return contentKeys !== undefined && (!isEmpty || formBytes >= SAMPLED_FROM_BYTES);
  }

  /** What the parts are together. */
  private async finish(file: Sending, parts: readonly PartResult[]): Promise<LargeResult> {
    const sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0);
    const row = Buffer.from(parts[0]!.row);
    // Each part may have been at rest while it was read, and still be of another version of the
    // file, or the file have become longer than what was read of it.
    const isSparse = file.sparseHead !== undefined;
    const fileBytes = isSparse ? file.sizeBytes : sizeBytes;
    const hasChanged =
      parts.some((part) => part.hasChanged || !isSameVersion(part.row, row)) ||
      new RowReader(row).sizeBytes(0) !== fileBytes;
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
    // Of what changed meanwhile the parts may end anywhere, and their sums do not fit together.
    if (!hasChanged && digest.length > 0) await this.signRest(file, parts);
    if (!hasChanged && digest.length > 0 && signature?.isWhole(parts.length) === true) {
      await signature.end(digest, sizeBytes);
    } else signature?.abort();
    return { row, digest, hasChanged, incomplete: parts[0]!.incomplete };
  }

  /** Parts that were there already have been read without their sums: if others were not, they are made. */
  private async signRest(file: Sending, parts: readonly PartResult[]): Promise<void> {
    const { signature } = file;
    if (signature === undefined || signature.isWhole(parts.length)) return;
    // If all was there, the signature is, or the next version can do without.
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

  /** The delta stage, if the server offers a basis and the file is one for a delta. */
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
    const sums = result.signature ?? (isFirstSame ? first.signature : undefined);
    if (sums !== undefined) await file.signature?.part(offset / PART_BYTES, sums);
    const { sizeBytes, hasChanged, incomplete } = result;
    this.progress.readBytes += sizeBytes; // once, however often it was read
    const row = Buffer.from(result.row);
    const isSigned = sums !== undefined;
    return { digest, sizeBytes, row, hasChanged, incomplete, wasThere, isSigned };
  }

  /** In one go, so that a second file of the same content finds it there. */
  private async hashedAndSent(file: Sending, offset: number): Promise<Readings> {
    const first = file.hashFirst ? await this.range(file, offset, { isSigning: false }) : undefined;
    if (first !== undefined && (await this.isThere(first))) return { first, sent: undefined };
    return { first, sent: await this.whole(file, offset) };
  }

  /** The same by a delta, if that pays. While its basis is waited for, other files have their turn. */
  private async comparedAndSent(
    file: Sending,
    offset: number,
    delta: FileDelta,
  ): Promise<Readings> {
    // Sums are made in the first of two readings only while the server makes those of the basis.
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

  /** The way is long: parts that are read wait for their answers beside those that are read now. */
  widen(): void {
    this.slots.grow(Math.max(0, FILES_IN_FLIGHT - this.options.streams));
    this.counters.large.concurrency = Math.max(FILES_IN_FLIGHT, this.options.streams);
  }

  /** Runs what reads a part, when there is a place and its window is there. */
  private async reading<T>(file: Sending, read: () => Promise<T>): Promise<T> {
    await this.slots.take(1);
    // The window is taken as a whole before the job starts: a job that waited for a shared budget
    // while it keeps a thread could wait for work that needs that thread.
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

  /** Whether the server has what was hashed. */
  private async isThere(result: RangeOutput): Promise<boolean> {
    if (result.sizeBytes === 0) return true;
    // No promise: the file may change before it is read again.
    const [verdict] = await this.peer.ask(result.digest, false);
    // "coming" is a stream of this session: sent again, and dropped where it ends second.
    return verdict === Verdict.have;
  }

  /** Sends a part as a delta; undefined when that does not pay. */
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

  /** Reads a part: to hash it only, or to send what comes out. */
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
    const result = await this.jobs.runRange(input, this.windowChunks, (chunk) => {
      this.progress.sentBytes += chunk.length;
      return stream?.chunk(chunk) ?? Promise.resolve();
    });
    if (result.failure !== '') throw new UnreadableFile(result.failure);
    this.peer.owners(result.owners);
    const elapsedMs = performance.now() - startMs;
    const counters = delta === undefined ? this.counters.large : this.counters.delta;
    counters.count(1, result.sizeBytes, result.busyMs, elapsedMs);
    return result;
  }
}
