import type { ExcludeOptions } from '../../src/excludes/index.js';

/** Options that exclude nothing, and look for no rule files. */
export const NO_EXCLUDES: ExcludeOptions = Object.freeze({
  sources: [],
  directories: [],
  ruleFileNames: [],
  localRuleFileNames: [],
  skipFileNames: [],
  skipCaches: false,
  skipNoDump: false,
  skipNoAccess: false,
  maxFileBytes: 0,
  filter: undefined,
  reportsPaths: false,
});
