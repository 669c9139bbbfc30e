export type { Admin, FarCheck, FarFreed, FarWork, WorkHooks, WorkProgress } from './admin.js';
export { localAdmin, type LocalAdminOptions } from './local-admin.js';
export { sealedAdmin } from './sealed-admin.js';
