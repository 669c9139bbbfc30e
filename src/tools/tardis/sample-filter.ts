/** Implements `tardis --make-sample-filter-file`: writes a sample filter file. */
import fs from 'node:fs';
import { failedTo, systemCode, TardisError } from '../../errors/index.js';
import { SAMPLE_FILTER } from '../../excludes/index.js';
import { jsonText, print } from '../output/output.js';

const SAMPLE_FILTER_NAME = 'filter.example';

/** Writes the file and returns the exit status. Throws SAMPLE_EXISTS, ACCESS_REFUSED. */
export function makeSampleFilter(json: boolean): number {
  try {
    fs.writeFileSync(SAMPLE_FILTER_NAME, SAMPLE_FILTER, { flag: 'wx' });
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') {
      throw failedTo(`write ${SAMPLE_FILTER_NAME}`, error, 'unknown');
    }
    const what = `cannot write ${SAMPLE_FILTER_NAME}: it exists already`;
    throw new TardisError('SAMPLE_EXISTS', what, {}, error);
  }
  print(json ? jsonText({ file: SAMPLE_FILTER_NAME }) : SAMPLE_FILTER_NAME);
  return 0;
}
