export { extendLocks, type ExtendReport } from './extend.js';
export { recover, type RecoverReport, recoverTo, type Result } from './recover.js';
