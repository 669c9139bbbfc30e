import { sharedClient } from '../helpers/bucket-machines.js';
import { clientLogSuite } from './client-log.suite.js';

clientLogSuite(true, async (t) => {
  const on = await sharedClient(t, new Map());
  return { directory: async () => on() };
});
