/**
 * Looks at the file that has a listed file's name now: its row, and its data ranges, so that holes are never read. A file that
 * took the name since is used if it has the same owner. A block device must be the listed one; it reports no holes.
 */
import { MAX_EXTENTS } from '../contents/index.js';
import { holdsDevice, isZeros, RowFlag, RowReader } from '../model/index.js';
import { OpenedPlace, OpenFd, type System } from '../system/index.js';
import { transferOf } from './block-builder.js';
import type { DataInput, DataOutput, HolesOutput, JobResult, ListedFile } from './jobs.js';
import { directoryOfFile, endsEarly, OpenListedFile, statusOf } from './listed-file.js';
import { refreshRow } from './range-job.js';
import { requireSystemCode } from '../errors/index.js';

/** Bytes of the blocks in which the system counts. */
const COUNTED_BYTES = 512n;

export function holesJob(input: ListedFile, system: System): JobResult<HolesOutput> {
  try {
    const found = look(input, system);
    const head = Uint8Array.from(found.head); // a copy in memory of its own, to be transferred
    return { output: { ...found, head }, transfer: transferOf(head) };
  } catch (error) {
    const failure = requireSystemCode(error);
    const { row } = input;
    return { output: { failure, head: Buffer.alloc(0), sizeBytes: 0, row }, transfer: [] };
  }
}

function look(input: ListedFile, system: System): HolesOutput {
  const { native } = system;
  using directory = new OpenedPlace(native, directoryOfFile(input));
  const row = Buffer.from(input.row);
  const now = new RowReader(row);
  const isDevice = holdsDevice(now, 0);
  using file = isDevice
    ? new OpenListedFile(system, input)
    : new OpenFd(native, native.openOwnersAt(directory.fd, now.name(0), now.row(0)));
  const stat = statusOf(system, file.fd);
  refreshRow(row, stat);
  const isSparse = stat.blocks * COUNTED_BYTES < stat.size;
  now.setFlags(0, isSparse ? now.flags(0) | RowFlag.sparse : now.flags(0) & ~RowFlag.sparse);
  const sizeBytes = now.sizeBytes(0);
  const head = native.sparseHead(file.fd, sizeBytes, MAX_EXTENTS);
  return { failure: '', head, sizeBytes, row };
}

/** Length of the blocks that are zeros or data. A shorter hole would save nothing. */
const BLOCK_BYTES = 64 << 10;
const READ_BYTES = 1 << 20;

export function dataJob(input: DataInput, system: System): JobResult<DataOutput> {
  try {
    return { output: { failure: '', extents: dataOf(input, system) }, transfer: [] };
  } catch (error) {
    const failure = requireSystemCode(error);
    return { output: { failure, extents: [] }, transfer: [] };
  }
}

function dataOf(input: DataInput, system: System): [offset: number, bytes: number][] {
  using file = new OpenListedFile(system, input);
  const buffer = Buffer.allocUnsafe(Math.min(input.bytes, READ_BYTES));
  const extents: [number, number][] = [];
  for (const place of input.places) {
    for (let at = place; at < place + input.bytes; ) {
      const wantedBytes = Math.min(buffer.length, place + input.bytes - at);
      if (system.files.read(file.fd, buffer, 0, wantedBytes, at) < wantedBytes) throw endsEarly();
      addBlocks(extents, buffer.subarray(0, wantedBytes), at);
      at += wantedBytes;
    }
  }
  return extents;
}

/** Adds the blocks with data among the bytes that are at a position, joined with an extent that they follow. */
function addBlocks(extents: [number, number][], bytes: Buffer, position: number): void {
  for (let from = 0; from < bytes.length; from += BLOCK_BYTES) {
    const to = Math.min(from + BLOCK_BYTES, bytes.length);
    if (isZeros(bytes.subarray(from, to))) continue;
    const last = extents.at(-1);
    if (last !== undefined && last[0] + last[1] === position + from) last[1] += to - from;
    else extents.push([position + from, to - from]);
  }
}
