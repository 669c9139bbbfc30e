export type {
  Admin,
  CheckHooks,
  CheckOutcome,
  CheckRequest,
  RepairOutcome,
  WorkHooks,
} from './admin.js';
export { brokenSets } from './local-check.js';
export { localAdmin } from './local-admin.js';
export { sealedAdmin } from './sealed-admin.js';
