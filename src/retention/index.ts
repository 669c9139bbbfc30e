export {
  decideRetention,
  type Decision,
  isReason,
  type Reason,
  type RetentionSet,
  type RetentionOptions,
  type Verdict,
} from './decide.js';
export { isNameByFormat, nameByFormat, type NameFormat, withoutCount } from './names.js';
export { hasRules, NO_RULES, periodOf, type RetentionRules } from './rules.js';
export {
  type FormatWords,
  formatsOf,
  lackOfEffect,
  requireMeaning,
  rulesOf,
  type RuleWords,
  serverRules,
  spanOf,
} from './words.js';
export {
  type AgeFigure,
  isAgeFigure,
  type MonotonicAge,
  nowAfter,
  monotonicAgeOf,
  type TimedSet,
} from './time-line.js';
