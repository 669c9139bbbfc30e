import { adminSuite, HERE } from './admin.suite.js';

adminSuite(false, HERE);
