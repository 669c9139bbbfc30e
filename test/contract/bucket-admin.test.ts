import { copiedToBucket, readInBucket } from '../helpers/history-in-bucket.js';
import { adminAt, adminSuite } from './admin.suite.js';

let copied: Awaited<ReturnType<typeof copiedToBucket>>;

adminSuite(false, {
  prepare: async (lab) => {
    copied = await copiedToBucket(lab, 'me');
  },
  open: async (lab) => adminAt(lab, { store: copied.writer.cache, client: 'me' }),
  read: (lab) => readInBucket(lab, 'me', copied.objects),
  isThroughServer: false,
  isInBucket: true,
});
