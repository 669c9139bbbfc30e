/** Reading a store of Tardis (Python), the original, without its help. docs/coming-from/python-store.md has its format. */
export type { OriginalSet } from './catalog.js';
export { OriginalStore, type StoreOptions } from './store.js';
export { type ShownSet, Staging, type StagingProblem } from './staging.js';
