export { DatePattern } from './date-pattern.js';
export { DatedTrees, TarFiles } from './dated-files.js';
export { RepositorySource } from './repositories.js';
export type { ImportSource, ShownRoot, ShownState, State } from './source.js';
