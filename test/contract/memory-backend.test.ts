import { MemoryBackend } from '../../src/store/index.js';
import { backendSuite } from './backend.suite.js';

backendSuite(() => new MemoryBackend());
