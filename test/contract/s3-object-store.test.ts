import { openTestBucket } from '../helpers/buckets.js';
import { objectStoreSuite } from './object-store.suite.js';

objectStoreSuite(async (t) => (await openTestBucket(t, { pageKeys: 7 })).store);
