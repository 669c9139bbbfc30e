/** Parses queries whose values are bytes. */
import { pathBelow, SLASH, SLASH_BYTES, splitPath } from '../../model/index.js';
import { percentDecoded } from './percent.js';
import { invalidRequest } from './problem.js';

/**
 * Maximum number of parameters of a query. It is high, since the query of an archive repeats a parameter for each path.
 */
const MAX_PARAMETERS = 1024;

export type RawQuery = Record<string, string | string[]>;

/**
 * Parses a query. Each character of a value is one byte, so that any path can be given. A plus sign is a space, as
 * forms encode it. Throws REQUEST_INVALID.
 */
export function parseQuery(text: string): RawQuery {
  const query = Object.create(null) as RawQuery;
  if (text === '') return query;
  const parts = text.split('&');
  if (parts.length > MAX_PARAMETERS) throw invalidRequest('the query has too many parameters');
  for (const part of parts) {
    if (part === '') continue;
    const at = part.indexOf('=');
    const key = decoded(at < 0 ? part : part.slice(0, at));
    const value = at < 0 ? '' : decoded(part.slice(at + 1));
    const known = query[key];
    if (known === undefined) query[key] = value;
    else if (typeof known === 'string') query[key] = [known, value];
    else known.push(value);
  }
  return query;
}

/** Returns the bytes of percent-encoded text, each as one character. */
function decoded(text: string): string {
  return percentDecoded(text.replaceAll('+', ' '), 'query').toString('latin1');
}

const NUL = 0;

/**
 * Returns the absolute path in a value of a query, normalized: no repeated slashes, no slash at the end. Throws
 * REQUEST_INVALID.
 */
export function pathIn(value: string): Buffer {
  const path = Buffer.from(value, 'latin1');
  if (path[0] !== SLASH) throw invalidRequest('a path must begin with a slash');
  if (path.includes(NUL)) throw invalidRequest('a path has no NUL');
  if (/(?:^|\/)\.\.?(?:\/|$)/.test(value)) throw invalidRequest('a path has no . or ..');
  return pathBelow(SLASH_BYTES, splitPath(path));
}

/** Returns the absolute path in a text of a body, which is percent-encoded as in a query. Throws REQUEST_INVALID. */
export function encodedPathIn(text: string): Buffer {
  return pathIn(decoded(text.replaceAll('+', '%2B')));
}
