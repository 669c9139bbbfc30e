export * from './decide.js';
export { isNameByFormat, nameByFormat, type NameFormat } from './names.js';
export {
  COUNT_RULES,
  countsOf,
  hasRules,
  NO_RULES,
  periodOf,
  type RetentionRules,
} from './rules.js';
export * from './rule-parser.js';
export {
  type AgeFigure,
  type CountedSet,
  type EndedSet,
  isAgeFigure,
  type MonotonicAge,
  nowAfter,
  monotonicAgeOf,
  setsOlderThan,
} from './set-ages.js';
