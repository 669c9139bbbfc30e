import { adminSuite, THERE } from './admin.suite.js';

adminSuite(false, THERE);
