import { MemoryObjectStore } from '../support/memory-object-store.js';
import { objectStoreSuite } from './object-store.suite.js';

objectStoreSuite(async () => new MemoryObjectStore());
