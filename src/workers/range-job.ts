/**
 * Reads, hashes, compresses and encrypts a large file, or a part of one. The file is read chunk by chunk and is never
 * whole in memory. It is a generator, so that the caller controls how far ahead it reads.
 */
import { createHash } from 'node:crypto';
import type fs from 'node:fs';
import { SparseMap } from '../contents/index.js';
import { DeltaMaker, MAX_COMMANDS, SignatureMaker } from '../delta/index.js';
import { requireSystemCode } from '../errors/index.js';
import {
  BytesBuilder,
  contentDigest,
  EntryType,
  holdsDevice,
  ROW_FIXED_BYTES,
  RowFlag,
  RowOffset,
  RowReader,
  timeInRow,
  withAttributes,
} from '../model/index.js';
import {
  buildChunk,
  Codec,
  type Compression,
  RecordCipher,
  STREAM_CHUNK_BYTES,
} from '../store/index.js';
import { FEATURE_BYTES, type NativeCalls, type System } from '../system/index.js';
import { nowNs, racyFromNs } from './inspect.js';
import type { DeltaOutcome, DeltaRequest, RangeInput, RangeOutput } from './jobs.js';
import { endsEarly, OpenListedFile, statusOf } from './listed-file.js';
import { OwnerNames } from './owner-names.js';
import { isStoredRaw } from './raw-types.js';
import {
  closeIfChanged,
  closeRow,
  type ReadAttributes,
  readAttributesOf,
} from './read-attributes.js';
import { readForm } from './read-form.js';

let scratch: Buffer = Buffer.alloc(0);
const NO_FEATURES: Buffer = Buffer.alloc(0);
const NO_CHUNK: Buffer = Buffer.alloc(0);

/**
 * Yields encoded chunks (none without compression: the range is only hashed), and an empty one for each part that was read
 * without them, so that the caller can stop. Returns the digest, or the error of reading the file.
 */
export function* rangeJob(
  input: RangeInput,
  system: System,
): Generator<Buffer, RangeOutput, undefined> {
  try {
    return yield* readRange(input, system);
  } catch (error) {
    const failure = requireSystemCode(error);
    const nothing = {
      digest: Buffer.alloc(0),
      sizeBytes: 0,
      hasChanged: false,
      wasClosed: false,
      isInconsistent: false,
      incomplete: '',
      owners: [],
      signatures: [],
      features: NO_FEATURES,
      delta: undefined,
      busyMs: 0,
    };
    return { failure, row: input.row, ...nothing };
  }
}

function* readRange(input: RangeInput, system: System): Generator<Buffer, RangeOutput, undefined> {
  using file = input.content === undefined ? new OpenListedFile(system, input) : undefined;
  using reading = new RangeReading(input, system, file?.fd);
  yield* reading.read();
  return { ...reading.result(), wasClosed: file?.wasClosed ?? false };
}

/** Differences of a file from its state when it was opened. */
interface Changes extends Pick<RangeOutput, 'isInconsistent' | 'hasChanged'> {
  /** True if the data ended at another position than the size indicates. */
  readonly gaveOthers: boolean;
  /** True if the file was changed so recently that its times may not show the next change. */
  readonly isRacy: boolean;
}

/** The reading of one range of one open file, or of bytes in memory. */
class RangeReading implements Disposable {
  private readonly row: Buffer;
  private readonly rows: RowReader;
  private readonly startNs: bigint;
  /** Status of the file when it was opened; undefined for bytes in memory. */
  private readonly before: fs.BigIntStats | undefined;
  /** Its attributes then. */
  private readonly more: ReadAttributes | undefined;
  private readonly hash = createHash('sha256');
  private readonly sparse: SparseMap | undefined;
  private readonly signatures: SignatureMaker[] = [];
  private readonly delta: MeasuredDelta | undefined;
  private readonly features = new BytesBuilder(0);
  /** Undefined if the chunks are not encrypted. */
  private readonly cipher: RecordCipher | undefined;
  private chunks = 0;
  private sizeBytes = 0;
  /** Time of reading and of making chunks, without that of a delta. */
  private busyMs = 0;

  constructor(
    private readonly input: RangeInput,
    private readonly system: System,
    /** Descriptor of the file; undefined for bytes in memory. */
    private readonly file: number | undefined,
  ) {
    this.row = Buffer.from(input.row);
    this.rows = new RowReader(this.row);
    this.sparse = input.sparseHead === undefined ? undefined : new SparseMap(input.sparseHead);
    this.startNs = nowNs(system);
    try {
      this.before = this.status();
      if (this.before !== undefined) refreshRow(this.row, this.before);
      this.more = file === undefined ? undefined : readAttributesOf(system, file);
      const { keys, cipher } = input;
      this.cipher = keys && cipher && new RecordCipher(system.native, keys, cipher);
      for (const blockBytes of input.signatureBlocks ?? []) {
        this.signatures.push(new SignatureMaker(system.native, blockBytes, input.bytes));
      }
      this.delta =
        input.delta === undefined ? undefined : new MeasuredDelta(system.native, input.delta);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** Yields the chunks to send. */
  *read(): Generator<Buffer, void, undefined> {
    const { input, hash, signatures } = this;
    const compression = this.compression();
    if (scratch.length === 0) scratch = Buffer.allocUnsafeSlow(STREAM_CHUNK_BYTES);
    while (this.sizeBytes < input.bytes) {
      const wantedBytes = Math.min(scratch.length, input.bytes - this.sizeBytes);
      const startMs = performance.now();
      const got = this.readChunk(wantedBytes);
      if (got === 0) break;
      const chunk = scratch.subarray(0, got);
      hash.update(chunk);
      for (const signature of signatures) signature.push(chunk);
      this.keepFeatures(chunk);
      this.busyMs += performance.now() - startMs;
      this.sizeBytes += got;
      if (compression !== undefined) yield* this.encoded(chunk, compression);
      if (compression === undefined || this.delta !== undefined) yield NO_CHUNK;
      if (this.delta?.isDropped === true) return;
      if (got < wantedBytes) break;
    }
    if (this.delta === undefined || compression === undefined) return;
    for (const piece of this.delta.finish()) yield this.chunk(piece, compression);
  }

  /** Keeps the features of a chunk, which begins a span. */
  private keepFeatures(chunk: Buffer): void {
    const wanted = this.input.features;
    if (wanted === undefined) return;
    const { gear, spanBytes } = wanted;
    const mostBytes = Math.ceil(chunk.length / spanBytes) * FEATURE_BYTES;
    const { buffer, at } = this.features.reserve(mostBytes);
    const into = buffer.subarray(at, at + mostBytes);
    const { native } = this.system;
    this.features.commit(native.leastFeatures(gear, chunk, chunk.length, spanBytes, into));
  }

  private chunk(raw: Buffer, compression: Compression): Buffer {
    const { cipher } = this;
    const place = cipher && { cipher, number: this.chunks };
    this.chunks += 1;
    const startMs = performance.now();
    const chunk = buildChunk(raw, compression, place);
    this.busyMs += performance.now() - startMs;
    return chunk;
  }

  /** Yields the chunk itself, or the pieces of the delta that it completes. */
  private *encoded(chunk: Buffer, compression: Compression): Generator<Buffer, void, undefined> {
    if (this.delta === undefined) {
      yield this.chunk(chunk, compression);
      return;
    }
    for (const piece of this.delta.push(chunk)) yield this.chunk(piece, compression);
  }

  private compression(): Compression | undefined {
    const { compression, rawRules } = this.input;
    const isRaw = isStoredRaw(this.rows.name(0), this.rows.sizeBytes(0), rawRules);
    return compression !== undefined && isRaw ? { codec: Codec.none, level: 0 } : compression;
  }

  private readChunk(bytes: number): number {
    const { system, file, sparse, input, sizeBytes } = this;
    if (file === undefined) {
      const rest = input.content!.subarray(sizeBytes, sizeBytes + bytes);
      scratch.set(rest);
      return rest.length;
    }
    const position = input.offset + sizeBytes;
    return readForm(system, { file, sparse }, scratch, { bytes, position });
  }

  result(): Omit<RangeOutput, 'wasClosed'> {
    const { rows, row, input, system, file, sizeBytes, more } = this;
    const isDevice = holdsDevice(rows, 0);
    const { gaveOthers, isInconsistent, hasChanged, isRacy } = this.changes();
    if (gaveOthers && isDevice && this.delta?.isDropped !== true) throw endsEarly();
    let flags = rows.flags(0) & ~READING_FLAGS;
    if (this.sparse !== undefined) flags |= RowFlag.sparse;
    if (hasChanged) flags |= RowFlag.changedWhileRead | RowFlag.unsettled;
    if (isRacy || isDevice) flags |= RowFlag.unsettled;
    rows.setFlags(0, flags);
    if (hasChanged && file !== undefined) closeIfChanged(system, file, rows, more!.packed);
    const incomplete = more?.failure ?? '';
    if (incomplete !== '') closeRow(rows, 0);
    row.fill(0, RowOffset.device, ROW_FIXED_BYTES); // stored rows of files have no number of a device
    const whole = more === undefined ? row : withAttributes(row, more.packed);
    const named = new OwnerNames(system);
    if (file === undefined) named.meet(rows.uid(0), rows.gid(0)); // no walk has met them
    if (more !== undefined) named.meetAcls(more.packed);
    const owners = named.take();
    const digest = contentDigest(system.native, input.keys, this.hash.digest());
    const delta = this.delta?.outcome();
    const made = delta?.isDropped === true ? [] : this.signatures;
    const signatures = made.map((signature) => signature.finish());
    const features = this.features.take();
    const read = { digest, sizeBytes, row: whole, hasChanged, isInconsistent };
    const busyMs = this.busyMs + (this.delta?.busyMs ?? 0);
    return { failure: '', ...read, incomplete, owners, signatures, features, delta, busyMs };
  }

  private status(): fs.BigIntStats | undefined {
    return this.file === undefined ? undefined : statusOf(this.system, this.file);
  }

  /** Compares the file with its state at the start. Bytes in memory do not change. */
  private changes(): Changes {
    const { before, sparse } = this;
    const after = this.status();
    if (before === undefined || after === undefined)
      return { gaveOthers: false, isInconsistent: false, hasChanged: false, isRacy: false };
    const gaveOthers = this.gaveOtherBytes(after);
    const isOfOtherForm = sparse !== undefined && BigInt(sparse.fileBytes) !== after.size;
    const isResized = before.size !== after.size || isOfOtherForm;
    const isTouched = TOUCHED.some((field) => before[field] !== after[field]);
    return {
      gaveOthers,
      isInconsistent: gaveOthers && !isResized,
      hasChanged: gaveOthers || isResized || isTouched,
      isRacy: before.ctimeNs >= racyFromNs(this.system, this.startNs),
    };
  }

  /** True if the data ended at another position than the size indicates. */
  private gaveOtherBytes(after: fs.BigIntStats): boolean {
    const { input, sparse, sizeBytes } = this;
    const bytesThere = sparse === undefined ? after.size : BigInt(sparse.formBytes);
    const end = BigInt(input.offset + sizeBytes);
    if (end > bytesThere) return true;
    if (sizeBytes < input.bytes) return end !== bytesThere;
    // The reading has not reached the end of the file yet.
    return sparse === undefined && end === bytesThere && this.readChunk(1) > 0;
  }

  [Symbol.dispose](): void {
    this.delta?.close();
    for (const signature of this.signatures) signature.close();
  }
}

/** Fields by which a file differs that was changed. A time may be too coarse to show a change of the others. */
const TOUCHED = ['mtimeNs', 'ctimeNs', 'mode', 'uid', 'gid'] as const;
const READING_FLAGS = RowFlag.changedWhileRead | RowFlag.unsettled | RowFlag.sparse;

/** Updates a row from the status of an open file. */
export function refreshRow(row: Buffer, stat: fs.BigIntStats): void {
  row[RowOffset.type] = EntryType.file;
  row.writeUInt16LE(Number(stat.mode & 0o7777n), RowOffset.permissions);
  row.writeUInt32LE(Number(stat.uid), RowOffset.uid);
  row.writeUInt32LE(Number(stat.gid), RowOffset.gid);
  row.writeUInt32LE(Number(stat.nlink), RowOffset.linkCount);
  row.writeBigUInt64LE(stat.size, RowOffset.sizeBytes);
  row.writeBigInt64LE(timeInRow(stat.mtimeNs), RowOffset.mtimeNs);
  row.writeBigInt64LE(timeInRow(stat.ctimeNs), RowOffset.ctimeNs);
  row.writeBigUInt64LE(BigInt.asUintN(64, stat.ino), RowOffset.inode); // Node returns large numbers as negative ones
}

/** Number of bytes between two checks. */
const STEP_BYTES = 128 << 10;

/** Makes a delta, and drops it as soon as it is clear that it does not pay. */
class MeasuredDelta {
  isDropped = false;
  /** Time spent making the delta. */
  busyMs = 0;
  private rawBytes = 0;
  private pushedBytes = 0;
  private readonly maker: DeltaMaker;

  constructor(
    native: NativeCalls,
    private readonly request: DeltaRequest,
  ) {
    this.maker = new DeltaMaker(native, request.signature, STREAM_CHUNK_BYTES);
  }

  /** Yields pieces of the delta. Each is valid until the next one is requested. */
  *push(bytes: Buffer): Generator<Buffer, void, undefined> {
    for (let at = 0; at < bytes.length && !this.isDropped; at += STEP_BYTES) {
      const step = bytes.subarray(at, at + STEP_BYTES);
      yield* this.timed(this.maker.push(step));
      this.pushedBytes += step.length;
      this.isDropped = !this.isWorthIt();
    }
  }

  *finish(): Generator<Buffer, void, undefined> {
    yield* this.timed(this.maker.finish());
    this.isDropped = !this.isWorthIt();
  }

  outcome(): DeltaOutcome {
    const { isDropped, rawBytes, maker } = this;
    return { isDropped, rawBytes, commands: maker.commands };
  }

  close(): void {
    this.maker.close();
  }

  /** Measures the time of making the pieces, without the time of consuming them. */
  private *timed(pieces: Generator<Buffer, void, undefined>): Generator<Buffer, void, undefined> {
    for (;;) {
      const startMs = performance.now();
      const next = pieces.next();
      this.busyMs += performance.now() - startMs;
      if (next.done === true) return;
      this.rawBytes += next.value.length;
      yield next.value;
    }
  }

  private isWorthIt(): boolean {
    const { mostNewBytes, mostNewPercent, evidenceBytes } = this.request;
    const { literalBytes, commands } = this.maker;
    if (literalBytes > mostNewBytes || commands > MAX_COMMANDS) return false;
    if (this.pushedBytes < evidenceBytes) return true;
    return literalBytes <= (this.pushedBytes * mostNewPercent) / 100;
  }
}
