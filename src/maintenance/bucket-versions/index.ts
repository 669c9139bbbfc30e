export { extendLocks, type ExtendReport } from './extend.js';
export { versionedNames, type VersionedName } from './names.js';
export { recover, type RecoverReport, recoverTo, type Result } from './recover.js';
