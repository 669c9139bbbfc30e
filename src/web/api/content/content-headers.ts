/** Headers of a content: its type by the ending of its name, and its name, which may have any bytes. */
import { lookup } from 'mime-types';
import { lastComponent } from '../../../model/index.js';
import { percentEncoder } from '../percent.js';

const UNKNOWN_TYPE = 'application/octet-stream';
/** Matches types that a browser shows, and that cannot run anything in the sandbox below. All others are downloaded. */
const SHOWN =
  /^(?:image\/(?:png|jpeg|gif|webp|avif|bmp|x-icon|vnd\.microsoft\.icon)|audio\/[\w.+-]+|video\/[\w.+-]+|text\/plain)$/;

/** Matches types that a browser would run if a page named the content as its script. */
const SCRIPT = /\/(?:x-)?(?:java|ecma|j|live)script|^application\/(?:wasm|node)$/;

/** Returns a name, percent-encoded where RFC 8187 does not allow a byte as it is. */
const encodedValue = percentEncoder(/[\w.!#$&+^`|~-]/);

/** Headers for a content of an untrusted file, which a browser must not run as a page of this origin. */
export const CONTENT_GUARDS: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; style-src 'none'; sandbox",
  'cross-origin-resource-policy': 'same-origin',
};

/**
 * Returns the media type of a file by its name. Text of any kind is plain text, so that no markup is interpreted. HTML
 * keeps its type, since browsers get it only as a download. A script has an unknown type.
 */
export function typeOf(path: Buffer): string {
  const name = lastComponent(path).toString('latin1');
  const type = lookup(name);
  if (type === false || SCRIPT.test(type)) return UNKNOWN_TYPE;
  if (SHOWN.test(type)) return type.startsWith('text/') ? `${type}; charset=utf-8` : type;
  return type.startsWith('text/') && type !== 'text/html' ? 'text/plain; charset=utf-8' : type;
}

/**
 * Returns Content-Disposition (RFC 6266). It has the name twice: with only harmless characters, and in full as
 * percent-encoded bytes. Only types that are safe to show are shown inline.
 */
export function dispositionOf(name: Buffer, isDownload: boolean, type: string): string {
  const plain = name.toString('latin1').replaceAll(/[^\w.!#$&+^`|~ -]/g, '_');
  const kind = isDownload || !SHOWN.test(type.split(';')[0]!) ? 'attachment' : 'inline';
  return `${kind}; filename="${plain}"; filename*=UTF-8''${encodedValue(name)}`;
}
