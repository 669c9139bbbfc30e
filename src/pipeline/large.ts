/**
 * Large files: read, hashed, compressed and sent in chunks by one job for each part of 64 MiB, parts
 * side by side. A file of whose size the server has something is hashed first and sent only where
 * that is new; otherwise it is hashed while it is sent, and the server drops a duplicate at its end.
 */
import {
  encodeParts,
  type PartDigest,
  partsDigest,
  RowFlag,
  RowOffset,
  RowReader,
} from '../model/index.js';
import { type Compression, STREAM_CHUNK_BYTES } from '../store/index.js';
import { Credit, Verdict } from '../transport/index.js';
import { type JobRunner, type RangeOutput, type RawRules, SparseMap } from '../workers/index.js';
import type { Budget } from './budget.js';
import type { LargeFile } from './parcel.js';
import type { BackupPeer } from './peer.js';
import type { BackupProgress } from './progress.js';
import { SignatureSender, signatureBlocks } from './signature-sender.js';
import type { StageCounters } from './stage.js';

/** Contents above this are cut into parts of this size. */
export const PART_BYTES = 64 << 20;
const MIN_WINDOW_CHUNKS = 2;
const MAX_WINDOW_CHUNKS = 16;

export interface LargeOptions {
  readonly compression: Compression;
  readonly rawRules?: RawRules;
  /** Files above this are always hashed before they are sent; 0: none. */
  readonly checksumAboveBytes?: number;
  /** Send signatures of first versions too. */
  readonly sendSignatures?: boolean;
  /** Parts (or files) streamed at once. */
  readonly streams: number;
}

export interface LargeResult {
  /** The row as the file was read; its size is what was read. */
  readonly row: Buffer;
  readonly digest: Buffer;
  readonly hasChanged: boolean;
  /** Why its attributes could not be read; empty if they could. */
  readonly incomplete: string;
}

/** The file (not the session) failed, for the system's reason in `reason`. */
export class UnreadableFile extends Error {
  readonly reason: string;

  constructor(reason: string) {
    super(`a file could not be read: ${reason}`);
    this.reason = reason;
  }
}

interface PartResult extends PartDigest {
  readonly row: Buffer;
  readonly hasChanged: boolean;
  readonly incomplete: string;
}

/** What of a file is sent: its bytes, or its sparse form. */
interface Source extends LargeFile {
  readonly sparseHead: Uint8Array | undefined;
  /** Of what is sent. */
  readonly formBytes: number;
  /** Of its signature, if it gets one. */
  readonly blockBytes: number | undefined;
}

export class LargeFiles {
  private readonly slots: Credit;
  /** Sizes this session has sent: a second file of one may be a copy. */
  private readonly sentSizes = new Set<number>();
  private readonly jobs: JobRunner;
  private readonly peer: BackupPeer;
  private readonly options: LargeOptions;
  private readonly budget: Budget;
  private readonly counters: StageCounters;
  private readonly progress: BackupProgress;

  constructor(
    jobs: JobRunner,
    peer: BackupPeer,
    options: LargeOptions,
    budget: Budget,
    counters: StageCounters,
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

  /** Sends a large file's content as far as it is new. Rejects with UnreadableFile if it cannot. */
  async send(given: LargeFile): Promise<LargeResult> {
    const file = await this.sourceOf(given);
    const { formBytes } = file;
    const { checksumAboveBytes = 0 } = this.options;
    const isAbove = checksumAboveBytes > 0 && formBytes > checksumAboveBytes;
    const hashFirst = isAbove || file.hashFirst || this.sentSizes.has(formBytes);
    this.rememberSize(formBytes);
    const isInParts = formBytes > PART_BYTES;
    const offsets: number[] = [];
    for (let at = 0; at < formBytes; at += PART_BYTES) offsets.push(at);
    // All of them end before anything is told: none may stream on behind a failed file.
    const signature = file.blockBytes === undefined ? undefined : new SignatureSender(this.peer);
    const settled = await Promise.allSettled(
      offsets.map((offset) => this.part(file, offset, isInParts, hashFirst, signature)),
    );
    const parts = settled.flatMap((part) => (part.status === 'fulfilled' ? [part.value] : []));
    const reasons = settled.flatMap((part) => (part.status === 'rejected' ? [part.reason] : []));
    if (reasons.length > 0) {
      signature?.abort();
      throw reasons.find((reason) => !(reason instanceof UnreadableFile)) ?? reasons[0];
    }
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
    if (isInParts && full.length > 0) {
      digest = partsDigest(full);
      this.peer.assembly(digest, sizeBytes, encodeParts(full));
    }
    // Of what changed meanwhile the parts may end anywhere, and their sums do not fit together.
    if (hasChanged || digest.length === 0) signature?.abort();
    else await signature?.end(digest, sizeBytes);
    return { row, digest, hasChanged, incomplete: parts[0]!.incomplete };
  }

  /** A file with fewer blocks than its size says is looked at for holes. */
  private async sourceOf(file: LargeFile): Promise<Source> {
    const { directoryPath, row } = file;
    const { sizeBytes } = file;
    const dense = {
      ...file,
      sparseHead: undefined,
      formBytes: sizeBytes,
      blockBytes: this.blockBytes(sizeBytes, sizeBytes),
    };
    if ((new RowReader(row).flags(0) & RowFlag.sparse) === 0) return dense;
    const { output } = await this.jobs.run('holes', { directoryPath, row });
    if (output.failure !== '') throw new UnreadableFile(output.failure);
    if (output.head.length === 0) return dense;
    const map = new SparseMap(output.head);
    // The server knows sizes of sparse forms only: whether it has this one, only the digest tells.
    const hashFirst = !this.peer.isEmpty;
    return {
      ...file,
      sizeBytes: map.fileBytes,
      sparseHead: output.head,
      formBytes: map.formBytes,
      blockBytes: this.blockBytes(map.formBytes, map.fileBytes),
      hashFirst,
    };
  }

  private blockBytes(contentBytes: number, fileBytes: number): number | undefined {
    if (this.options.sendSignatures !== true) return undefined;
    return signatureBlocks(contentBytes, fileBytes);
  }

  /** The set of sizes is only a hint; forgetting some costs a second transfer at most. */
  private rememberSize(sizeBytes: number): void {
    if (this.sentSizes.size >= MAX_SIZES) this.sentSizes.clear();
    this.sentSizes.add(sizeBytes);
  }

  private async part(
    file: Source,
    offset: number,
    isPart: boolean,
    hashFirst: boolean,
    signature: SignatureSender | undefined,
  ): Promise<PartResult> {
    await this.slots.take(1);
    // The window is taken as a whole before the job starts: a job that waited for a shared budget
    // while it keeps a thread could wait for work that needs that thread.
    const windowBytes = this.windowChunks * STREAM_CHUNK_BYTES;
    await this.budget.bytes.take(windowBytes);
    try {
      const result =
        (hashFirst ? await this.hashFirst(file, offset) : undefined) ??
        (await this.stream(file, offset, isPart));
      const { sizeBytes, hasChanged, incomplete } = result;
      if (result.signature !== undefined) {
        await signature?.part(offset / PART_BYTES, result.signature);
      }
      return {
        digest: Buffer.from(result.digest),
        sizeBytes,
        row: Buffer.from(result.row),
        hasChanged,
        incomplete,
      };
    } finally {
      this.budget.bytes.give(windowBytes);
      this.slots.give(1);
    }
  }

  /** Hashes without sending; the result if the server has it already. */
  private async hashFirst(file: Source, offset: number): Promise<RangeOutput | undefined> {
    const result = await this.range(file, offset, undefined, () => Promise.resolve());
    if (result.sizeBytes === 0) return result;
    // No promise: the file may change before it is read again.
    const [verdict] = await this.peer.ask(result.digest, false);
    // "coming" is a stream of this session: sent again, and dropped where it ends second.
    if (verdict !== Verdict.have) return undefined;
    this.progress.filesHad += offset === 0 ? 1 : 0;
    return result;
  }

  private async stream(file: Source, offset: number, isPart: boolean): Promise<RangeOutput> {
    const { compression } = this.options;
    const stream = this.peer.openStream(isPart, compression.codec, file.formBytes);
    try {
      const result = await this.range(file, offset, compression, (chunk) => {
        this.progress.sentBytes += chunk.length;
        return stream.chunk(chunk);
      });
      if (result.sizeBytes === 0) stream.abort();
      else {
        await stream.end(result.digest, result.sizeBytes);
        this.progress.contentsSent += 1;
      }
      return result;
    } catch (error) {
      stream.abort();
      throw error;
    }
  }

  private async range(
    file: Source,
    offset: number,
    compression: Compression | undefined,
    onChunk: (chunk: Uint8Array) => Promise<void>,
  ): Promise<RangeOutput> {
    const startMs = performance.now();
    const { directoryPath, row, sparseHead, blockBytes: signatureBlockBytes } = file;
    const { rawRules } = this.options;
    const range = { directoryPath, row, sparseHead, offset, bytes: PART_BYTES };
    const input = { ...range, compression, rawRules, signatureBlockBytes };
    const result = await this.jobs.runRange(input, this.windowChunks, onChunk);
    if (result.failure !== '') throw new UnreadableFile(result.failure);
    this.peer.owners(result.owners);
    const elapsedMs = performance.now() - startMs;
    this.counters.count(1, result.sizeBytes, result.busyMs, elapsedMs);
    this.progress.readBytes += result.sizeBytes;
    return result;
  }
}

const MAX_SIZES = 1 << 16;

/** Whether two rows of a file tell the same size, times and inode. */
function isSameVersion(row: Buffer, other: Buffer): boolean {
  const isEqual = (from: number, to: number): boolean =>
    row.compare(other, from, to, from, to) === 0;
  return (
    isEqual(RowOffset.sizeBytes, RowOffset.birthTimeNs) &&
    isEqual(RowOffset.inode, RowOffset.device)
  );
}
