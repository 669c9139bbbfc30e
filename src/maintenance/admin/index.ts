export type * from './admin.js';
export { brokenSets } from './local-check.js';
export { localAdmin } from './local-admin.js';
export { sealedAdmin } from './sealed-admin.js';
