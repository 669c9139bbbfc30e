export type * from './admin.js';
export { brokenSets } from './local-check.js';
export { localAdmin, sealedAdmin } from './local-admin.js';
