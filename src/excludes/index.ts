export { CVS_PATTERNS } from './options.js';
export { packChains, type PackedChains, type RuleLink, unpackChains } from './rule-chain.js';
export * from './crypt-filter.js';
export * from './excluder.js';
export { explainPath, type Explanation, type WalkReach } from './explain.js';
export { MAX_EXPRESSION_BYTES } from './expressions.js';
export {
  fileFilter,
  type FilterFile,
  FilterRules,
  MAX_FILTER_FILE_BYTES,
  MAX_FILTER_LINES,
  parseFilterFile,
  SAMPLE_FILTER,
} from './filter-rules.js';
export { type Filtered, filterListing, type LeftOut } from './filter.js';
export { compileGlob } from './glob.js';
export { namePattern, wordsPattern, type NamePattern } from './name-pattern.js';
export * from './options.js';
export { parseRule, parseRules, type RuleOrigin, RuleList } from './rules.js';
