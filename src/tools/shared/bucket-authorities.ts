/** Reads the certificates by which the endpoint of a bucket is verified. */
import { failedTo } from '../../errors/index.js';
import { displayName } from '../../model/index.js';
import { readSmallFile } from '../../system/index.js';

const MAX_CA_BYTES = 1 << 20;

/** Returns the certificates in a file. Throws CONFIG_INVALID. */
export function authoritiesIn(file: Buffer): Buffer {
  try {
    return readSmallFile(file, MAX_CA_BYTES);
  } catch (error) {
    throw failedTo(`read ${displayName(file)} (--bucket-ca)`, error, 'useNamedFile');
  }
}
