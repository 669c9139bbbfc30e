import { LogBackend } from '../../src/store/bucket/log-backend.js';
import { packNumber } from '../../src/store/index.js';
import { MemoryBackend } from '../support/memory-backend.js';
import { MemoryObjectStore } from '../support/memory-object-store.js';
import { objectReaderSuite } from './object-reader.suite.js';

objectReaderSuite(async (t, packs) => {
  const store = new MemoryObjectStore();
  const backend = new LogBackend(async () => store, 'c/me/g1/', new MemoryBackend());
  t.teardown(() => backend.close());
  for (const [name, bytes] of packs) {
    await store.putNew(backend.fullName(packNumber(name)!), bytes);
  }
  return backend;
});
