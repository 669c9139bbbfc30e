import { adminSuite, adminThere } from './admin.suite.js';

adminSuite(false, adminThere);
