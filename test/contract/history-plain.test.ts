import { openHere, openThere } from '../helpers/history-lab.js';
import { historySuite } from './history.suite.js';

historySuite(false, { local: openHere, remote: openThere });
