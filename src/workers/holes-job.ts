/** Looks where a large file has data, so that its holes are never read. */
import fs from 'node:fs';
import { systemCode } from '../errors/index.js';
import { RowReader } from '../model/index.js';
import { OpenKind, type System } from '../system/index.js';
import { memoryOf } from './block-builder.js';
import type { HolesInput, HolesOutput, JobResult } from './jobs.js';
import { MAX_EXTENTS } from './sparse.js';

export function holesJob(input: HolesInput, system: System): JobResult<HolesOutput> {
  try {
    const head = Uint8Array.from(headOf(input, system)); // in memory of its own, to be moved
    return { output: { failure: '', head }, transfer: memoryOf(head) };
  } catch (error) {
    const failure = systemCode(error);
    if (failure === undefined) throw error;
    return { output: { failure, head: Buffer.alloc(0) }, transfer: [] };
  }
}

function headOf(input: HolesInput, system: System): Buffer {
  const directory = system.native.openDirectory(Buffer.from(input.directoryPath));
  let file: number | undefined;
  try {
    const name = new RowReader(input.row).name(0);
    file = system.native.openBeneath(directory, name, OpenKind.file);
    return system.native.sparseHead(file, fs.fstatSync(file).size, MAX_EXTENTS);
  } finally {
    if (file !== undefined) system.native.close(file);
    system.native.close(directory);
  }
}
