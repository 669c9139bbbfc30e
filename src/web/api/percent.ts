/** Percent-encoding, by which addresses and headers contain any bytes (RFC 3986, 2.1). */
import { invalidRequest } from './problem.js';

const MALFORMED = /%(?![0-9a-f]{2})/i;

/** Returns a function that encodes bytes. It leaves the characters that `plain` matches as they are. */
export function percentEncoder(plain: RegExp): (bytes: Buffer) => string {
  const words = Array.from({ length: 256 }, (_, byte) => {
    const character = String.fromCodePoint(byte);
    const code = byte.toString(16).toUpperCase().padStart(2, '0');
    return plain.test(character) ? character : `%${code}`;
  });
  return (bytes) => {
    let text = '';
    for (const byte of bytes) text += words[byte]!;
    return text;
  };
}

/** Returns the bytes of an encoded text; `what` is the part of the request that has it. Throws REQUEST_INVALID. */
export function percentDecoded(text: string, what: 'path' | 'query'): Buffer {
  if (MALFORMED.test(text)) throw invalidRequest(`the ${what} has a % without two hex digits`);
  const bytes = text.replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) =>
    String.fromCodePoint(Number.parseInt(hex, 16)),
  );
  // A character beyond one byte was not percent-encoded, and stands for its bytes in UTF-8.
  return Buffer.from(bytes, /[\u0100-\u{10ffff}]/u.test(bytes) ? 'utf8' : 'latin1');
}
