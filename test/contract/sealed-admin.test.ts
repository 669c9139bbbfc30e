import { adminHere, adminSuite } from './admin.suite.js';

adminSuite(true, adminHere);
