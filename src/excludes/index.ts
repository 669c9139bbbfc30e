export { CVS_PATTERNS } from './builtin.js';
export { packChains, type PackedChains, type RuleLink, unpackChains } from './chain.js';
export { describeDecision, describeRule } from './describe.js';
export {
  type Decision,
  type DirectoryDecider,
  Excluder,
  type ListedDirectory,
  MAX_CHAIN_BYTES,
  MAX_RULE_FILE_BYTES,
  type Reason,
  type RuleProblem,
} from './excluder.js';
export { explainPath, type Explanation } from './explain.js';
export { type Filtered, filterListing, type LeftOut } from './filter.js';
export { compileGlob, type Glob } from './glob.js';
export * from './options.js';
export { parseRule, parseRules, type Rule, type RuleOrigin, RuleList } from './rules.js';
