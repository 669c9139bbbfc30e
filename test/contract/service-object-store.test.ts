// Pace: long
/** The contract at a service of your own, which TEST_S3_ENDPOINT and TEST_S3_BUCKET name; the usual variables have its keys. */
import { randomBytes } from 'node:crypto';
import test, { type ExecutionContext } from 'ava';
import { type Bucket, openBucket } from '../../src/store/objects/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { objectStoreSuite } from './object-store.suite.js';

const { TEST_S3_ENDPOINT: endpoint, TEST_S3_BUCKET: bucket } = process.env;
const run = randomBytes(6).toString('hex');
/** Time for which a failed request is retried. */
const PATIENCE_MS = 10_000;
let prefixes = 0;

async function emptied({ store }: Bucket): Promise<void> {
  const names: string[] = [];
  for await (const name of store.list('')) names.push(name);
  if (names.length > 0) await store.remove(names);
  store.close();
}

/** Opens a prefix of the bucket that no other test uses, and empties it after the test. */
async function opened(t: ExecutionContext): Promise<Bucket | undefined> {
  if (endpoint === undefined || bucket === undefined) {
    t.log('left out: TEST_S3_ENDPOINT and TEST_S3_BUCKET name no service');
    return undefined;
  }
  prefixes += 1;
  const place = { bucket, prefix: `tardis-test-${run}/${prefixes}` };
  const settings = { endpoint, environment: process.env, patienceMs: PATIENCE_MS };
  const found = await openBucket(nodeSystem(), place, settings);
  t.teardown(() => emptied(found));
  return found;
}

objectStoreSuite(async (t) => (await opened(t))?.store);

test('a service shows what it can do', async (t) => {
  const found = await opened(t);
  if (found === undefined) return t.pass();
  const { locks, versions } = await found.versions.abilities();
  const writers = await found.writers().catch((error: unknown) => String(error));
  t.log(`writers: ${writers}; locks: ${locks}; versions: ${versions}`);
  t.is(writers, 'many');
});
