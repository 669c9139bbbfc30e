import path from 'node:path';
import { shareStore } from '../../src/store/index.js';
import { sharedClient } from '../helpers/bucket-machines.js';
import { bucketAt, openTestBucket } from '../helpers/buckets.js';
import { clientLogSuite } from './client-log.suite.js';

clientLogSuite(true, async (t) => {
  const { server } = await openTestBucket(t, { pageKeys: 3 });
  const on = await sharedClient(t, new Map());
  const directory = async () => {
    const machine = on();
    const { store } = await bucketAt(server.url);
    t.teardown(() => store.close());
    const opened = { store, admit: async () => undefined };
    shareStore(path.dirname(machine.path), Promise.resolve(opened));
    return machine;
  };
  return { directory };
});
