import { DirectoryBackend } from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { objectReaderSuite } from './object-reader.suite.js';

objectReaderSuite(async (t, packs) => {
  const backend = new DirectoryBackend(scratchInMemory(t), nodeSystem().files);
  t.teardown(() => backend.close());
  for (const [name, bytes] of packs) {
    const writer = backend.create(name);
    writer.append(bytes);
    writer.close();
  }
  return backend;
});
