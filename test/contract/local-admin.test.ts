import { adminHere, adminSuite } from './admin.suite.js';

adminSuite(false, adminHere);
