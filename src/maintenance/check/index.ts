export { lookAtCopies } from './catalog-copies.js';
export { checkClient, type CheckOptions, type CheckResult, type CheckStep } from './check.js';
export * from './findings.js';
export { strangePacksOf, withOwner } from './pack-owners.js';
export type { ReadData, ReadRequest } from './read-plan.js';
export { VersionNames } from './versions.js';
export { parityOf, type ParitySummary } from './parity-summary.js';
export { type BucketRepair, repairInBucket } from './repair-bucket.js';
export { repairCopies } from './repair-copies.js';
export {
  repairClient,
  type RepairFinding,
  type RepairOptions,
  type RepairResult,
} from './repair.js';
