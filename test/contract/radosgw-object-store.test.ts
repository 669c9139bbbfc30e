// Pace: long
import test from 'ava';
import { bucketAt } from '../helpers/buckets.js';
import { type Gateway, startGateway, whyNoGateway } from '../support/radosgw.js';
import { objectStoreSuite } from './object-store.suite.js';

const why = whyNoGateway();
let gateway: Gateway | undefined;
let prefixes = 0;

test.before(async (t) => {
  t.timeout(240_000);
  if (why === undefined) gateway = await startGateway();
});
test.after.always(async () => gateway?.stop());

objectStoreSuite(async (t) => {
  if (gateway === undefined) {
    t.log(`left out: no real gateway (${why})`);
    return undefined;
  }
  prefixes += 1;
  const { store } = await bucketAt(gateway.url, { prefix: `test/${prefixes}` });
  t.teardown(() => store.close());
  return store;
});
