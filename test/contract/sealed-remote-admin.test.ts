import { adminSuite, THERE } from './admin.suite.js';

adminSuite(true, THERE);
