export { errnoText, errorName } from './errno.js';
export { classOf, during, meant, type Operation } from './operations.js';
export { cleanUp, Opened } from './opened.js';
export { BUCKET_ERRORS, ERROR_TABLE, type ErrorCode, isErrorCode } from './table.js';
export * from './tardis-error.js';
