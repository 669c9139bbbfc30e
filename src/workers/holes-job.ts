/** Determines a file's size and its data ranges, so that holes are never read. */
import fs from 'node:fs';
import { systemCode } from '../errors/index.js';
import { RowReader } from '../model/index.js';
import { OpenKind, type System } from '../system/index.js';
import { memoryOf } from './block-builder.js';
import type { HolesInput, HolesOutput, JobResult } from './jobs.js';
import { MAX_EXTENTS } from './sparse.js';

export function holesJob(input: HolesInput, system: System): JobResult<HolesOutput> {
  try {
    const found = look(input, system);
    const head = Uint8Array.from(found.head); // a copy in memory of its own, to be transferred
    return { output: { failure: '', head, sizeBytes: found.sizeBytes }, transfer: memoryOf(head) };
  } catch (error) {
    const failure = systemCode(error);
    if (failure === undefined) throw error;
    return { output: { failure, head: Buffer.alloc(0), sizeBytes: 0 }, transfer: [] };
  }
}

function look(input: HolesInput, system: System): { head: Buffer; sizeBytes: number } {
  const directory = system.native.openDirectory(Buffer.from(input.directoryPath));
  let file: number | undefined;
  try {
    const name = new RowReader(input.row).name(0);
    file = system.native.openBeneath(directory, name, OpenKind.file);
    const sizeBytes = fs.fstatSync(file).size;
    return { head: system.native.sparseHead(file, sizeBytes, MAX_EXTENTS), sizeBytes };
  } finally {
    if (file !== undefined) system.native.close(file);
    system.native.close(directory);
  }
}
