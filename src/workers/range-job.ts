/**
 * Hash and compress stages for a large file, or a part of one: read chunk by chunk, never whole in
 * memory. A generator, so that whoever runs it decides how far it may run ahead.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { systemCode } from '../errors/index.js';
import { EntryType, RowFlag, RowReader, RowOffset, withAttributes } from '../model/index.js';
import { buildChunk, Codec, STREAM_CHUNK_BYTES } from '../store/index.js';
import { OpenKind, type System } from '../system/index.js';
import type { RangeInput, RangeOutput } from './jobs.js';
import { OwnerNames } from './owner-names.js';
import { isStoredRaw } from './raw-types.js';
import { readAttributesOf } from './read-attributes.js';
import { SparseMap } from './sparse.js';
import { RACY_WINDOW_NS } from './inspect.js';

let scratch: Buffer = Buffer.alloc(0);

/**
 * Yields encoded chunks (none when there is no compression: hash only); returns the digest, or why
 * the file could not be read.
 */
export function* rangeJob(
  input: RangeInput,
  system: System,
): Generator<Buffer, RangeOutput, undefined> {
  try {
    return yield* readRange(input, system);
  } catch (error) {
    const failure = systemCode(error);
    if (failure === undefined) throw error;
    const nothing = {
      digest: Buffer.alloc(0),
      sizeBytes: 0,
      hasChanged: false,
      incomplete: '',
      owners: [],
    };
    return { failure, row: input.row, ...nothing };
  }
}

function* readRange(input: RangeInput, system: System): Generator<Buffer, RangeOutput, undefined> {
  const row = Buffer.from(input.row);
  const rows = new RowReader(row);
  const directory = system.native.openDirectory(Buffer.from(input.directoryPath));
  let file: number | undefined;
  try {
    const startNs = BigInt(Math.floor(system.clock.nowMs())) * 1_000_000n;
    file = system.native.openBeneath(directory, rows.name(0), OpenKind.file);
    const before = fs.fstatSync(file, { bigint: true });
    refreshRow(row, before);
    const hash = createHash('sha256');
    const name = rows.name(0);
    const compression =
      input.compression !== undefined && isStoredRaw(name, Number(before.size), input.rawRules)
        ? { codec: Codec.none, level: 0 }
        : input.compression;
    if (scratch.length === 0) scratch = Buffer.allocUnsafeSlow(STREAM_CHUNK_BYTES);
    const sparse = input.sparseHead === undefined ? undefined : new SparseMap(input.sparseHead);
    let sizeBytes = 0;
    while (sizeBytes < input.bytes) {
      const wantedBytes = Math.min(scratch.length, input.bytes - sizeBytes);
      const position = input.offset + sizeBytes;
      const got =
        sparse === undefined
          ? system.files.read(file, scratch, 0, wantedBytes, position)
          : readSparse(system, file, sparse, scratch, wantedBytes, position);
      if (got === 0) break;
      const chunk = scratch.subarray(0, got);
      hash.update(chunk);
      sizeBytes += got;
      if (compression !== undefined) yield buildChunk(chunk, compression);
      if (got < wantedBytes) break;
    }
    const after = fs.fstatSync(file, { bigint: true });
    const bytesThere = sparse === undefined ? after.size : BigInt(sparse.formBytes);
    const hasChanged =
      before.size !== after.size ||
      before.mtimeNs !== after.mtimeNs ||
      before.ctimeNs !== after.ctimeNs ||
      (sparse !== undefined && BigInt(sparse.fileBytes) !== after.size) ||
      BigInt(input.offset + sizeBytes) > bytesThere ||
      (sizeBytes < input.bytes && BigInt(input.offset + sizeBytes) !== bytesThere);
    let flags = rows.flags(0) & ~READING_FLAGS;
    if (sparse !== undefined) flags |= RowFlag.sparse;
    if (hasChanged) flags |= RowFlag.changedWhileRead | RowFlag.unsettled;
    if (before.ctimeNs >= startNs - RACY_WINDOW_NS) flags |= RowFlag.unsettled;
    rows.setFlags(0, flags);
    // Once for the whole file is enough.
    const more = input.offset === 0 ? readAttributesOf(system, directory, rows, 0) : undefined;
    const incomplete = more?.failure ?? '';
    if (incomplete !== '') rows.setFlags(0, flags | RowFlag.unsettled); // tried again next time
    const whole = more === undefined ? row : withAttributes(row, more.packed);
    const named = new OwnerNames(system);
    if (more !== undefined) named.meetAcls(more.packed);
    const owners = named.take();
    const digest = hash.digest();
    return { failure: '', digest, sizeBytes, row: whole, hasChanged, incomplete, owners };
  } finally {
    if (file !== undefined) system.native.close(file);
    system.native.close(directory);
  }
}

const READING_FLAGS = RowFlag.changedWhileRead | RowFlag.unsettled | RowFlag.sparse;

/** Reads a stretch of the sparse form; fewer bytes when the file has become shorter. */
function readSparse(
  system: System,
  file: number,
  sparse: SparseMap,
  target: Buffer,
  bytes: number,
  position: number,
): number {
  let got = 0;
  let isShort = false;
  sparse.forEachPiece(position, bytes, ({ bytes: pieceBytes, offset, head }) => {
    if (isShort) return;
    if (head !== undefined) got += head.copy(target, got);
    else {
      const read = system.files.read(file, target, got, pieceBytes, offset);
      got += read;
      isShort = read < pieceBytes;
    }
  });
  return got;
}

/** Brings a row up to what the open file is now. */
function refreshRow(row: Buffer, stat: fs.BigIntStats): void {
  row[RowOffset.type] = EntryType.file;
  row.writeUInt16LE(Number(stat.mode & 0o7777n), RowOffset.permissions);
  row.writeUInt32LE(Number(stat.uid), RowOffset.uid);
  row.writeUInt32LE(Number(stat.gid), RowOffset.gid);
  row.writeUInt32LE(Number(stat.nlink), RowOffset.linkCount);
  row.writeBigUInt64LE(stat.size, RowOffset.sizeBytes);
  row.writeBigInt64LE(stat.mtimeNs, RowOffset.mtimeNs);
  row.writeBigInt64LE(stat.ctimeNs, RowOffset.ctimeNs);
  row.writeBigUInt64LE(stat.ino, RowOffset.inode);
}
