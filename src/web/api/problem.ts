/** Errors of the table as application/problem+json (RFC 9457). */
import type { Static } from 'typebox';
import {
  BUCKET_ERRORS,
  type ErrorCode,
  ERROR_TABLE,
  TardisError,
  toWire,
} from '../../errors/index.js';
import type { Problem } from './schemas.js';

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';

/** HTTP status of codes that differ from the status of their kind. */
const STATUS: Partial<Readonly<Record<ErrorCode, number>>> = {
  NOT_LOGGED_IN: 401,
  LOGIN_FAILED: 401,
  NOT_PERMITTED: 403,
  ACCOUNT_FILE_MISSING: 403,
  NO_ACCESS: 403,
  NO_SUCH_STORE: 404,
  NO_SUCH_CLIENT: 404,
  NO_SUCH_SET: 404,
  NO_SUCH_PATH: 404,
  NO_SUCH_ACCOUNT: 404,
  SEALED: 409,
  PASSWORD_NEEDED: 409,
  MESSAGE_TOO_LARGE: 413,
  TOO_MANY_ATTEMPTS: 429,
  TOO_MANY_REQUESTS: 429,
  TIMED_OUT: 504,
  SERVER_UNREACHABLE: 503,
  SERVER_ANSWER_INVALID: 502,
  CONNECTION_LOST: 502,
  BUCKET_ANSWER_INVALID: 502,
  OBJECT_DAMAGED: 500,
  PROTOCOL_VIOLATION: 400,
};

const STATUS_OF_KIND = {
  user: 400,
  busy: 503,
  environment: 503,
  damage: 500,
  protocol: 400,
  partial: 500,
  interrupted: 503,
  bug: 500,
} as const;

/**
 * Text that replaces the message of an error of a bucket, since that message contains the bucket's name and the
 * location of the access key.
 */
const OF_BUCKET = 'the bucket with the backups cannot be used now, or an object in it is damaged';
const AWAY_STATUS = 503;
const BUCKET_SECONDS = 10;
const MAX_WAIT_SECONDS = 3600;

/** Returns the status and the fields of an error. For a bug, the message is left out, since it may contain any name. */
export function problemOf(error: unknown): Static<typeof Problem> {
  const { code, message, context } = toWire(error);
  const { kind, guidance } = ERROR_TABLE[code];
  const isOfBucket = Object.hasOwn(BUCKET_ERRORS, code);
  const seconds = context['seconds'] ?? (isOfBucket ? BUCKET_SECONDS : undefined);
  const status = STATUS[code] ?? (isOfBucket ? AWAY_STATUS : STATUS_OF_KIND[kind]);
  return {
    type: `urn:tardis:error:${code}`,
    title: code,
    status,
    code,
    detail: isOfBucket ? OF_BUCKET : kind === 'bug' ? 'an internal error' : message,
    guidance,
    ...(typeof seconds === 'number' ? { retryAfterSeconds: waited(seconds) } : {}),
  };
}

/**
 * Returns the value of Retry-After in whole seconds. The number is checked, since it may come from another server.
 */
function waited(seconds: number): number {
  return seconds > 0 ? Math.min(MAX_WAIT_SECONDS, Math.ceil(seconds)) : 1;
}

/** Returns the error for a request that the API refuses. */
export function invalidRequest(why: string): TardisError {
  return new TardisError('REQUEST_INVALID', why);
}
