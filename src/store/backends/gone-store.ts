/** The error for a client's directory that vanishes while it is in use. */
import { TardisError } from '../../errors/index.js';

export function goneStore(directory: string, cause?: unknown): TardisError {
  const what = `the directory ${directory} is gone: was its disk unmounted, or the directory moved?`;
  return new TardisError('NO_SUCH_STORE', what, {}, cause);
}
