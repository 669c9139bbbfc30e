export { cleanUp } from './clean-up.js';
export { errorName } from './errno.js';
export { noSuchObject } from './no-such-object.js';
export { classOf, during, meant, type Operation } from './operations.js';
export { Opened } from './opened.js';
export { BUCKET_ERRORS, ERROR_TABLE, type ErrorCode, isErrorCode } from './table.js';
export {
  asTardisError,
  causeCode,
  failedTo,
  fromSystem,
  fromWire,
  isDiskFull,
  systemCode,
  TardisError,
  throwIfAborted,
  toWire,
  type WireError,
} from './tardis-error.js';
