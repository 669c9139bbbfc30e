import { adminSuite, adminThere } from './admin.suite.js';

adminSuite(true, adminThere);
