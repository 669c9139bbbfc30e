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

/** Images that are larger are not shown. */
export const MAX_IMAGE_BYTES: number = 24 << 20;
/** Bytes of a text that are shown. */
export const MAX_TEXT_BYTES: number = 256 << 10;
/** Texts that are larger are not compared. */
export const MAX_DIFF_BYTES: number = 2 << 20;

/** Returns the media type of an image by the ending of its name. */
export function imageType(name: string): string | undefined {
  const ending = /\.([a-z]{2,4})$/i.exec(name)?.[1]?.toLowerCase();
  return ending !== undefined && Object.hasOwn(IMAGES, ending) ? IMAGES[ending] : undefined;
}

/** Returns bytes as text; undefined if they are none. A character that the end cuts is left out. */
export function textIn(bytes: Uint8Array): string | undefined {
  if (bytes.includes(0)) return undefined;
  const decoder = new TextDecoder('utf-8', { fatal: true });
  try {
    return decoder.decode(bytes, { stream: true });
  } catch {
    return undefined; // not UTF-8
  }
}
