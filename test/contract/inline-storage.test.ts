import { InlineStorageHost } from '../../src/server/index.js';
import { inlineSystem } from '../helpers/inline.js';
import { storageHostSuite } from './storage-host.suite.js';

storageHostSuite(() => new InlineStorageHost(inlineSystem()));
