/**
 * Looks at the file that has a listed file's name now: its row, and its data ranges, so that holes are never read. A file that
 * took the name since is used if it has the same owner. A block device must be the listed one; it reports no holes.
 */
import { MAX_EXTENTS } from '../contents/index.js';
import { systemCode } from '../errors/index.js';
import { holdsDevice, RowFlag, RowReader } from '../model/index.js';
import { OpenedPlace, type System } from '../system/index.js';
import { memoryOf } from './block-builder.js';
import type { HolesOutput, JobResult, ListedFile } from './jobs.js';
import { directoryOfFile, OpenListedFile, OwnersFile, statusOf } from './listed-file.js';
import { refreshRow } from './range-job.js';

/** Bytes of the blocks in which the system counts. */
const BLOCK_BYTES = 512n;

export function holesJob(input: ListedFile, system: System): JobResult<HolesOutput> {
  try {
    const found = look(input, system);
    const head = Uint8Array.from(found.head); // a copy in memory of its own, to be transferred
    return { output: { ...found, head }, transfer: memoryOf(head) };
  } catch (error) {
    const failure = systemCode(error);
    if (failure === undefined) throw error;
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
    : new OwnersFile(native, directory.fd, now, 0);
  const stat = statusOf(system, file.fd);
  refreshRow(row, stat);
  const isSparse = stat.blocks * BLOCK_BYTES < stat.size;
  now.setFlags(0, isSparse ? now.flags(0) | RowFlag.sparse : now.flags(0) & ~RowFlag.sparse);
  const sizeBytes = now.sizeBytes(0);
  const head = native.sparseHead(file.fd, sizeBytes, MAX_EXTENTS);
  return { failure: '', head, sizeBytes, row };
}
