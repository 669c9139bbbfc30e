/** Buckets for tests: on the server in this process, with short times. */
import type { ExecutionContext } from 'ava';
import { type Bucket, type BucketOptions, openBucket } from '../../src/store/objects/index.js';
import { type Clock, nodeSystem } from '../../src/system/index.js';
import { BUCKET, KEYS, type S3Options, S3Server } from '../support/s3-server.js';

export interface TestBucket extends Bucket {
  readonly server: S3Server;
}

/** An environment with the keys of the test server, and none of this machine's. */
export const KEY_VARIABLES = {
  AWS_ACCESS_KEY_ID: KEYS.accessKeyId,
  AWS_SECRET_ACCESS_KEY: KEYS.secretAccessKey,
  AWS_SHARED_CREDENTIALS_FILE: '/nonexistent',
  AWS_CONFIG_FILE: '/nonexistent',
  AWS_EC2_METADATA_DISABLED: 'true',
} as const;

export interface TestOptions extends Partial<BucketOptions> {
  readonly bucket?: string;
  readonly prefix?: string;
  readonly clock?: Clock;
}

/** Opens a bucket of a server. */
export async function bucketAt(url: string, options: TestOptions = {}): Promise<Bucket> {
  const { bucket = BUCKET, prefix = 'backups/all', clock, ...rest } = options;
  const environment = { ...KEY_VARIABLES, ...options.environment };
  const { random, clock: systemClock } = nodeSystem();
  const system = { random, clock: clock ?? systemClock };
  return openBucket(system, { bucket, prefix }, { endpoint: url, ...rest, environment });
}

/** Starts a server, and opens its bucket. */
export async function openTestBucket(
  t: ExecutionContext,
  rules: S3Options = {},
  options: TestOptions = {},
): Promise<TestBucket> {
  const server = await S3Server.during(t, rules);
  const opened = await bucketAt(server.url, options);
  t.teardown(() => opened.store.close());
  return { ...opened, server };
}
