/** Decides how the content of a file is shown, by its name and its first bytes. */

const IMAGES: Readonly<Record<string, string>> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  gif: 'image/gif',
  webp: 'image/webp',
  avif: 'image/avif',
  bmp: 'image/bmp',
  ico: 'image/x-icon',
  svg: 'image/svg+xml',
};

/** Maximum size of an image that is shown. */
export const MAX_IMAGE_BYTES: number = 24 << 20;
/** Maximum number of bytes of a text that are shown. */
export const MAX_TEXT_BYTES: number = 256 << 10;
/** Maximum size of a text that is compared. */
export const MAX_DIFF_BYTES: number = 2 << 20;

/** Returns the media type of an image by the ending of its name; undefined for other files. */
export function imageType(name: string): string | undefined {
  const ending = /\.([a-z]{2,4})$/i.exec(name)?.[1]?.toLowerCase();
  return ending !== undefined && Object.hasOwn(IMAGES, ending) ? IMAGES[ending] : undefined;
}

/**
 * Returns bytes as text; undefined if they are not text. Text is UTF-8, or UTF-16 with a byte order mark. Other bytes
 * without control characters are read as Windows-1252, which includes Latin-1. An incomplete character at the end is
 * omitted.
 */
export function textIn(bytes: Uint8Array): string | undefined {
  const wide = wideEncoding(bytes);
  if (wide !== undefined) return decoded(bytes, wide);
  if (bytes.includes(0)) return undefined;
  return decoded(bytes, 'utf-8') ?? (hasControls(bytes) ? undefined : decoded(bytes, SINGLE_BYTE));
}

const SINGLE_BYTE = 'windows-1252';
/** Byte order marks of UTF-16, which are not part of the text. */
const BYTE_ORDER_MARKS: readonly (readonly [number, number, string])[] = [
  [0xff, 0xfe, 'utf-16le'],
  [0xfe, 0xff, 'utf-16be'],
];

function wideEncoding([first, second]: Uint8Array): string | undefined {
  return BYTE_ORDER_MARKS.find(([one, two]) => one === first && two === second)?.[2];
}

function decoded(bytes: Uint8Array, encoding: string): string | undefined {
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes, { stream: true });
  } catch {
    return undefined; // the bytes are not text of this encoding
  }
}

const SPACE = 0x20;
const DELETE = 0x7f;
/** Control characters that may occur in texts: tab, line feed, vertical tab, form feed, carriage return, escape. */
const OF_TEXTS = new Set([0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x1b]);

function hasControls(bytes: Uint8Array): boolean {
  return bytes.some((byte) => byte === DELETE || (byte < SPACE && !OF_TEXTS.has(byte)));
}
