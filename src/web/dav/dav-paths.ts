/** Paths in URLs of WebDAV: names are percent-encoded bytes. */
import { isEntryName } from '../../model/index.js';
import { invalidRequest } from '../api/index.js';

/** Bytes that need no encoding in a path (RFC 3986, unreserved). */
const UNRESERVED = /^[\w.~-]$/;
const ENCODED: readonly string[] = Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCodePoint(byte);
  const isPlain = byte < 0x80 && UNRESERVED.test(character);
  return isPlain ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
});
const PERCENT = /%([0-9a-f]{2})/gi;
/** The segment of a path that stands for the place itself. */
const SAME = Buffer.from('.');
const MALFORMED = /%(?![0-9a-f]{2})/i;

/** Returns a name in the form for a URL and for `href`: it has only letters, digits, `-._~` and `%`. */
export function encodedName(name: Buffer): string {
  let text = '';
  for (const byte of name) text += ENCODED[byte]!;
  return text;
}

/** Returns the URL path of names below a base. The path of a collection ends with a slash. */
export function hrefOf(base: string, names: readonly Buffer[], isCollection: boolean): string {
  const path = [base, ...names.map(encodedName)].join('/');
  return isCollection ? `${path}/` : path;
}

/**
 * Returns the names in the path of a URL below a base, as bytes. Empty segments between slashes are left out, and so are
 * segments `.`, also in percent-encoding: rclone sends one before a name with a colon (RFC 3986, 4.2). Throws
 * REQUEST_INVALID for an invalid name, such as `..` or a name with an encoded slash.
 */
export function bytesOfUrl(url: string, base: string): Buffer[] {
  const [path = ''] = url.split(/[?#]/, 1);
  if (path !== base && !path.startsWith(`${base}/`))
    throw invalidRequest('the path is another one');
  return path
    .slice(base.length)
    .split('/')
    .map(bytesOf)
    .filter((name) => name.length > 0 && !name.equals(SAME))
    .map((name) => {
      if (!isEntryName(name)) throw invalidRequest('the path has a part that is no name');
      return name;
    });
}

function bytesOf(part: string): Buffer {
  if (MALFORMED.test(part)) throw invalidRequest('the path has a % without two hex digits');
  const bytes = part.replaceAll(PERCENT, (_, hex: string) =>
    String.fromCodePoint(Number.parseInt(hex, 16)),
  );
  // A character beyond one byte was not percent-encoded, and stands for its bytes in UTF-8.
  return /[\u0100-\u{10ffff}]/u.test(bytes) ? Buffer.from(bytes) : Buffer.from(bytes, 'latin1');
}
