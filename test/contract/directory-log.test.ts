import path from 'node:path';
import { createClientDirectory } from '../../src/store/index.js';
import { inlineSystem } from '../helpers/inline.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { clientLogSuite } from './client-log.suite.js';

clientLogSuite(false, async (t) => {
  const store = path.join(scratchInMemory(t), 'store');
  const directory = await createClientDirectory(inlineSystem(), { store, client: 'me' });
  return { directory: async () => directory };
});
