/**
 * Finds the data of a block device: what is not zeros. A device reports no holes, so its bytes are read. One job reads a few
 * places, so that no thread is taken for long.
 */
import { systemCode } from '../errors/index.js';
import type { System } from '../system/index.js';
import type { DataInput, DataOutput, JobResult } from './jobs.js';
import { endsEarly, OpenListedFile } from './listed-file.js';

/** Length of the blocks that are zeros or data. A shorter hole would save nothing. */
const BLOCK_BYTES = 64 << 10;
const READ_BYTES = 1 << 20;
const ZEROS = Buffer.alloc(BLOCK_BYTES);

export function dataJob(input: DataInput, system: System): JobResult<DataOutput> {
  try {
    return { output: { failure: '', extents: dataOf(input, system) }, transfer: [] };
  } catch (error) {
    const failure = systemCode(error);
    if (failure === undefined) throw error;
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
    if (bytes.compare(ZEROS, 0, to - from, from, to) === 0) continue;
    const last = extents.at(-1);
    if (last !== undefined && last[0] + last[1] === position + from) last[1] += to - from;
    else extents.push([position + from, to - from]);
  }
}
