export {
  ERROR_TABLE,
  type ErrorCode,
  type ErrorKind,
  type ErrorRow,
  isErrorCode,
} from './table.js';
export {
  asTardisError,
  type ErrorContext,
  fromSystem,
  fromWire,
  systemCode,
  TardisError,
  toWire,
  type WireError,
} from './tardis-error.js';
