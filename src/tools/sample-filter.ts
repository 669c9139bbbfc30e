/** `tardis --make-sample-filter-file`: a filter file to begin with. */
import fs from 'node:fs';
import { systemCode, TardisError } from '../errors/index.js';
import { SAMPLE_FILTER } from '../excludes/index.js';
import { JSON_VERSION, print } from './run-tool.js';

const SAMPLE_FILTER_NAME = 'filter.example';

/** Returns the exit status. Throws SAMPLE_EXISTS, IO_FAILED. */
export function makeSampleFilter(json: boolean): number {
  try {
    fs.writeFileSync(SAMPLE_FILTER_NAME, SAMPLE_FILTER, { flag: 'wx' });
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    const isThere = code === 'EEXIST';
    const why = isThere ? 'there is one already' : code;
    throw new TardisError(
      isThere ? 'SAMPLE_EXISTS' : 'IO_FAILED',
      `cannot write ${SAMPLE_FILTER_NAME}: ${why}`,
      {},
      error,
    );
  }
  print(
    json ? JSON.stringify({ version: JSON_VERSION, file: SAMPLE_FILTER_NAME }) : SAMPLE_FILTER_NAME,
  );
  return 0;
}
