import { MemoryBackend } from '../support/memory-backend.js';
import { backendSuite } from './backend.suite.js';

backendSuite(() => new MemoryBackend());
