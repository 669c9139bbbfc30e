/** Opens the bucket that an option of `sonic bucket` names. */
import { type BucketPlace, configInvalid, parsePlace, type Settings } from '../../config/index.js';
import { displayName } from '../../model/index.js';
import { type Bucket, openBucket } from '../../store/objects/index.js';
import { byteText, processEnvironment, type System } from '../../system/index.js';
import { authoritiesIn } from '../opening/bucket.js';

export interface OpenedPlace {
  readonly place: BucketPlace;
  readonly bucket: Bucket;
}

/**
 * Opens a bucket with the settings of the command. Without `patienceMs` its requests have the patience of a backup. Throws
 * CONFIG_INVALID for a place that is not a bucket.
 */
export async function openPlace(
  system: System,
  options: Settings<'sonic bucket'>,
  given: Buffer,
  patienceMs?: number,
): Promise<OpenedPlace> {
  const where = given === options.database ? '-D/--database' : '--to';
  const place = parsePlace(byteText(given), where);
  if (place.kind !== 'bucket') {
    const shown = displayName(given);
    throw configInvalid(`${where} must be s3://BUCKET/PREFIX for this command, not "${shown}"`);
  }
  const { endpoint, region, addressing, bucketCa, singleWriter, lockDays } = options;
  const bucket = await openBucket(system, place, {
    endpoint,
    region,
    addressing,
    authorities: bucketCa === undefined ? undefined : authoritiesIn(bucketCa),
    isSingleWriter: singleWriter,
    lockDays,
    environment: processEnvironment(),
    patienceMs,
  });
  return { place, bucket };
}
