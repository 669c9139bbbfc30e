/** Opens a bucket: finds endpoint and credentials, and decides how many writers it may have. */
import { TardisError } from '../../errors/index.js';
import { DAY_MS } from '../../model/index.js';
import type { System } from '../../system/index.js';
import { Arbitration, type Writers } from './arbitration.js';
import { readProfile } from './aws-files.js';
import { CredentialChain, type Environment } from './credentials.js';
import { type BucketSettings, endpointOf } from './endpoint.js';
import type { ObjectStore } from './object-store.js';
import type { ObjectVersions } from './object-versions.js';
import { lockFault, probe } from './probe.js';
import type { RequestCounts } from './s3/requests.js';
import type { S3Store as Store } from './s3/s3-store.js';
import { BUCKET_SCHEME, type BucketPlace } from '../../config/index.js';

export interface BucketOptions extends BucketSettings {
  readonly environment: Environment;
  /** True if the user guarantees that only one process at a time writes to the bucket. */
  readonly isSingleWriter?: boolean;
  /** Number of days for which each new object is locked; 0 or undefined for none. */
  readonly lockDays?: number | undefined;
  /** Maximum time for which a request is retried. */
  readonly patienceMs?: number | undefined;
  /** Maximum time without a byte from or to the endpoint. */
  readonly idleMs?: number | undefined;
  /**
   * Called when a probe has found that several processes may write. `isForVersions`: true if this also holds for a
   * bucket that keeps versions.
   */
  readonly decided?: ((isForVersions: boolean) => Promise<void>) | undefined;
  /** Called when a probe has found that only one process may write. */
  readonly refused?: (() => void) | undefined;
}

/** An opened bucket. Opening it sends no request. */
export interface Bucket {
  readonly store: ObjectStore;
  readonly versions: ObjectVersions;
  /** Host and port of the endpoint. */
  readonly host: string;
  readonly region: string;
  /** True if the bucket's name is in the path, not in the host name. */
  readonly isPathStyle: boolean;
  /**
   * Returns 'many' or 'one': how many processes may write at a time. The first call probes the bucket, and must precede
   * the first write. Throws BUCKET_UNSAFE with the reason if several processes may write and the bucket does not
   * arbitrate between them. Throws BUCKET_CANNOT_LOCK if objects are to be locked and the bucket does not lock them.
   *
   * If the bucket begins to keep versions later, the PUT that shows it probes the bucket again before it returns. Once a
   * probe has failed, the bucket is probed before each further PUT.
   */
  writers(): Promise<Writers>;
  /** Accepts the result of another process, that several processes may write. The bucket is then not probed. */
  trust(isForVersions: boolean): void;
  /** Returns the numbers of requests that were sent. */
  counts(): RequestCounts;
}

/**
 * Returns a text that differs for different stores: endpoint, bucket and prefix. Throws CONFIG_INVALID if endpoint,
 * region or profile is invalid.
 */
export function addressOf(
  place: BucketPlace,
  settings: BucketSettings,
  environment: Environment,
): string {
  const { url, basePath } = endpointOf(place, settings, environment, readProfile(environment));
  return `${url.origin}${basePath}${place.prefix}`;
}

/**
 * Opens a bucket. Throws CONFIG_INVALID if endpoint, region or profile is invalid; all other faults appear at the first
 * request or the call of `writers`. The code for requests is loaded here, so that a command without a bucket does not
 * load it.
 */
export async function openBucket(
  system: Pick<System, 'clock' | 'random'>,
  place: BucketPlace,
  options: BucketOptions,
): Promise<Bucket> {
  const { environment, patienceMs, idleMs, lockDays = 0, decided, refused } = options;
  const endpoint = endpointOf(place, options, environment, readProfile(environment));
  const [{ Requests }, { S3Store }, { S3Versions }] = await Promise.all([
    import('./s3/requests.js'),
    import('./s3/s3-store.js'),
    import('./s3/s3-versions.js'),
  ]);
  const credentials = new CredentialChain(environment, system.clock);
  const shown = shownBucket(place);
  const requests = new Requests({ system, endpoint, credentials, shown, patienceMs, idleMs });
  const retainMs = lockDays * DAY_MS;
  const store = new S3Store(requests, place.prefix, retainMs);
  const versions = new S3Versions(requests, place.prefix, retainMs);
  const allowOne = (reason: string, probed: Store): void => {
    if (options.isSingleWriter !== true) {
      const message = `${shown} at ${endpoint.url.host} cannot have several writers: ${reason}`;
      throw new TardisError('BUCKET_UNSAFE', message);
    }
    for (const one of [store, probed]) one.lookFirst();
  };
  const requireLocks = async (probed: Store): Promise<void> => {
    const fault = await lockFault(probed, versions, system.random);
    if (fault === undefined) return;
    const message = `${shown} at ${endpoint.url.host} cannot lock objects: ${fault}`;
    throw new TardisError('BUCKET_CANNOT_LOCK', message);
  };
  const decide = async (): Promise<Writers> => {
    // The probe has a store of its own, whose writes do not wait for the result of the probe.
    const probed = new S3Store(requests, place.prefix, retainMs);
    const reason = await probe(probed, system.random);
    if (reason !== undefined) allowOne(reason, probed);
    if (retainMs > 0) await requireLocks(probed);
    return reason === undefined ? 'many' : 'one';
  };
  const hasVersions = (): boolean => requests.hasVersions;
  const arbitration = new Arbitration({ decide, hasVersions, decided, refused });
  store.recheck = () => arbitration.recheck();
  return {
    store,
    versions,
    host: endpoint.url.host,
    region: endpoint.region,
    isPathStyle: endpoint.basePath !== '/',
    counts: () => store.counts,
    writers: () => arbitration.writers(),
    trust: (isForVersions) => arbitration.trust(isForVersions),
  };
}

/** Returns a place as the user writes it. */
export function shownBucket({ bucket, prefix }: BucketPlace): string {
  return `${BUCKET_SCHEME}${bucket}${prefix === '' ? '' : `/${prefix}`}`;
}
