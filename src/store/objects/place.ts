/** The place of a store: a directory, or a prefix of a bucket. */
import { configInvalid, isBucketText } from '../../config/index.js';
import { displayText } from '../../model/index.js';
import { byteText } from '../../system/index.js';
import { MAX_KEY_BYTES } from './object-store.js';

type StorePlace =
  | { readonly kind: 'directory'; readonly path: Buffer }
  | ({ readonly kind: 'bucket' } & BucketPlace);

export interface BucketPlace {
  readonly bucket: string;
  /** Empty, or a name without slashes at its ends. */
  readonly prefix: string;
}

const SCHEME = 's3://';
/** Matches bucket names that AWS allows, and older names and those of other services. */
const BUCKET = /^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$/;
const PREFIX_PART = /^(?!\.{1,2}$)[A-Za-z0-9._=@,:~-]+$/;
/** Number of bytes of a key that the prefix must leave for the names within a store. */
const MAX_NAME_BYTES = 512;

/**
 * Returns the place that `-D` names: a bucket if it begins with `s3://`, in capitals or not. `where` is the name of the
 * setting in errors. Throws CONFIG_INVALID if the name or the prefix of the bucket is malformed or too long.
 */
export function parseStorePlace(given: Buffer, where: string): StorePlace {
  const text = byteText(given);
  if (!isBucketText(text)) return { kind: 'directory', path: given };
  const [bucket = '', ...parts] = text.slice(SCHEME.length).replace(/\/+$/, '').split('/');
  if (!BUCKET.test(bucket))
    throw wrong(where, text, 's3://BUCKET/PREFIX with the name of a bucket');
  if (!parts.every((part) => PREFIX_PART.test(part))) {
    throw wrong(where, text, 's3://BUCKET/PREFIX, its prefix of letters, digits and ._=@,:~-');
  }
  const prefix = parts.join('/');
  if (prefix.length > MAX_KEY_BYTES - MAX_NAME_BYTES) throw wrong(where, text, 'shorter');
  return { kind: 'bucket', bucket, prefix };
}

/** Returns a place as the user writes it. */
export function shownBucket({ bucket, prefix }: BucketPlace): string {
  return `${SCHEME}${bucket}${prefix === '' ? '' : `/${prefix}`}`;
}

function wrong(where: string, text: string, wanted: string): Error {
  return configInvalid(`${where} must be ${wanted}, not "${displayText(text)}"`);
}
