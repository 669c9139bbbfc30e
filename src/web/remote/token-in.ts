/** Reads the token of a request. */
import { TardisError } from '../../errors/index.js';

const MAX_HEADER_CHARS = 1024;

/**
 * Returns the token in the header `Authorization`. It is the token of Bearer, or the password of Basic for programs
 * that support only that. Throws NOT_LOGGED_IN if there is none.
 */
export function tokenIn(header: string | undefined): string {
  if (header === undefined || header.length > MAX_HEADER_CHARS) throw withoutToken();
  const [, scheme = '', value = ''] = /^(Bearer|Basic) +([\w.~+/=-]+)$/i.exec(header) ?? [];
  if (scheme.toLowerCase() === 'bearer') return value;
  const pair = Buffer.from(scheme === '' ? '' : value, 'base64').toString('latin1');
  const at = pair.indexOf(':');
  if (at < 0) throw withoutToken();
  return pair.slice(at + 1);
}

export function notLoggedIn(why: string): TardisError {
  return new TardisError('NOT_LOGGED_IN', why);
}

function withoutToken(): TardisError {
  return notLoggedIn('the request has no token');
}
