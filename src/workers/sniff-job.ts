/**
 * Tests if a file has anything in common with its basis, by a sample of the basis's signature. Some ranges of the file
 * are compared; the first matching block suffices.
 */
import { SparseMap } from '../contents/index.js';
import { DeltaMaker } from '../delta/index.js';
import { systemCode } from '../errors/index.js';
import type { System } from '../system/index.js';
import type { JobResult, SniffInput, SniffOutput } from './jobs.js';
import { OpenListedFile } from './listed-file.js';
import { readForm } from './read-form.js';

const STEP_BYTES = 128 << 10;

export function sniffJob(input: SniffInput, system: System): JobResult<SniffOutput> {
  try {
    return { output: { failure: '', isSimilar: sniff(input, system) }, transfer: [] };
  } catch (error) {
    const failure = systemCode(error);
    if (failure === undefined) throw error;
    return { output: { failure, isSimilar: false }, transfer: [] };
  }
}

function sniff(input: SniffInput, system: System): boolean {
  using opened = new OpenListedFile(system, input);
  const { fd: file } = opened;
  const sparse = input.sparseHead === undefined ? undefined : new SparseMap(input.sparseHead);
  const buffer = Buffer.allocUnsafe(STEP_BYTES);
  for (const place of input.places) {
    using maker = new DeltaMaker(system.native, input.signature, STEP_BYTES);
    for (let done = 0; done < input.bytes; ) {
      const position = place + done;
      const got = readForm(system, { file, sparse }, buffer, { bytes: STEP_BYTES, position });
      if (got === 0) break;
      done += got;
      for (const _ of maker.push(buffer.subarray(0, got)));
      if (maker.hasMatch) return true;
    }
    for (const _ of maker.finish());
    if (maker.hasMatch) return true;
  }
  return false;
}
