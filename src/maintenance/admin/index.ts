export type {
  Admin,
  CheckHooks,
  CheckOutcome,
  CheckRequest,
  FreeRequest,
  RepairOutcome,
  WorkHooks,
  WorkProgress,
} from './admin.js';
export { brokenSets } from './broken-sets.js';
export { localAdmin, type LocalAdminOptions } from './local-admin.js';
export { sealedAdmin } from './sealed-admin.js';
