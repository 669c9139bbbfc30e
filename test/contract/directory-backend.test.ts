import { DirectoryBackend } from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { backendSuite } from './backend.suite.js';

backendSuite((t) => {
  const backend = new DirectoryBackend(scratchInMemory(t), nodeSystem().files);
  t.teardown(() => backend.close());
  return backend;
});
