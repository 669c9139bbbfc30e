/** Implements `tardis --make-sample-filter-file`: writes a sample filter file. */
import fs from 'node:fs';
import { systemCode, TardisError } from '../../errors/index.js';
import { SAMPLE_FILTER } from '../../excludes/index.js';
import { JSON_VERSION, print } from '../shared/run-tool.js';
import { jsonText } from '../shared/json-text.js';

const SAMPLE_FILTER_NAME = 'filter.example';

/** Writes the file and returns the exit status. Throws SAMPLE_EXISTS, IO_FAILED. */
export function makeSampleFilter(json: boolean): number {
  try {
    fs.writeFileSync(SAMPLE_FILTER_NAME, SAMPLE_FILTER, { flag: 'wx' });
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    const isThere = code === 'EEXIST';
    const why = isThere ? 'it exists already' : code;
    throw new TardisError(
      isThere ? 'SAMPLE_EXISTS' : 'IO_FAILED',
      `cannot write ${SAMPLE_FILTER_NAME}: ${why}`,
      {},
      error,
    );
  }
  print(json ? jsonText({ version: JSON_VERSION, file: SAMPLE_FILTER_NAME }) : SAMPLE_FILTER_NAME);
  return 0;
}
