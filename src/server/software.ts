import { programVersion } from '../system/index.js';

/** Name and version of this server in greetings and logs. */
export const SOFTWARE = `tardis-pipeline ${programVersion()}`;
