export { cleanUp } from './clean-up.js';
export {
  ERROR_TABLE,
  type ErrorCode,
  type ErrorKind,
  type ErrorRow,
  isErrorCode,
} from './table.js';
export {
  asTardisError,
  causeCode,
  type ErrorContext,
  fromSystem,
  fromWire,
  isDiskFull,
  systemCode,
  TardisError,
  throwIfAborted,
  toWire,
  type WireError,
} from './tardis-error.js';
