import { adminSuite, HERE } from './admin.suite.js';

adminSuite(true, HERE);
