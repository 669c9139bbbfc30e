/** Shows the place of a store in a bucket. */
import { BUCKET_SCHEME, type BucketPlace } from '../../config/index.js';

/** Returns a place as the user writes it. */
export function shownBucket({ bucket, prefix }: BucketPlace): string {
  return `${BUCKET_SCHEME}${bucket}${prefix === '' ? '' : `/${prefix}`}`;
}
