import { openHere, openThere } from '../helpers/history-lab.js';
import { historySuite } from './history.suite.js';

historySuite(true, { 'sealed, local': openHere, 'sealed, remote': openThere });
